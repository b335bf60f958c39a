"""The settings of the service, one class, read from the environment in `main` functions only."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import BadSettingError

#: Where containers find settings that are secret: a file each, named as the setting is in the environment.
_SECRETS = Path("/run/secrets/database")


class Access(StrEnum):
    """When an API key is needed."""

    #: Where others than this machine can reach the service.
    AUTO = "auto"
    #: Always.
    KEYS = "keys"


def _whole_or_part(gpus: float | None) -> float | None:
    """Return a number of GPUs that Ray can give."""
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise ValueError("give a part of one GPU, as in 0.5, or a whole number of them")
    return gpus


class Settings(BaseSettings):
    """What a deployment can choose; each is also an environment variable `L4_<NAME>`, or a secret's file `l4_<name>`.

    Args:
        home: Folder of everything the embedded service keeps: database, MLflow's store, logs.
        host: Address the HTTP service listens on; API keys are needed on any but the machine's own (loopback).
        port: Port of the HTTP service.
        mlflow_port: Port of the embedded MLflow server.
        mlflow_uri: An MLflow server that runs elsewhere; the embedded one is not started then.
        mlflow_public_url: Where browsers find MLflow, a URL or a path of the service's own origin; as it is reached
            from here where empty.
        database: SQLAlchemy's address of a PostgreSQL database; SQLite in `home` where empty.
        ray_address: A Ray cluster that runs elsewhere; a local one is started where empty.
        node_address: Name or address by which the Ray nodes of other machines reach this one (`service.runner.node`
            only); the machine's own where empty.
        data_dir: Folder of the data sets; missing ones are downloaded into it.
        cpus: Processors for training on a local Ray; all of the machine's where None.
        concurrent_studies: Studies that one runner drives at the same time.
        studies_per_owner: Studies of one owner that are driven at the same time; any number where None.
        gpus_per_pack: GPUs of each pack, a part of one or a whole number; one on a cluster that has any, where None.
        gpus_per_owner: GPUs for the packs of one owner's studies together; any number where None.
        lease_seconds: How long a runner that stopped answering keeps its study.
        body_limit: Largest accepted request body, in bytes.
        access: Whether API keys are needed on the machine's own address too.
        rate_limit: Requests a minute of one API key, or of one address where there is none; 0 for no limit.
        webhooks_private: Whether webhooks may lead into the service's own network.
    """

    model_config = SettingsConfigDict(env_prefix="L4_", env_ignore_empty=True, frozen=True)

    home: Path = Path("out/home")
    host: str = "127.0.0.1"
    port: int = Field(default=8440, ge=1, le=65535)
    mlflow_port: int = Field(default=8450, ge=1, le=65535)
    mlflow_uri: str = ""
    mlflow_public_url: Annotated[str, Field(pattern=r"^((https?:/)?/[!-~]+)?$")] = ""
    database: str = ""
    ray_address: str = ""
    node_address: str = ""
    data_dir: Path = Path("out/data")
    cpus: int | None = Field(default=None, ge=1)
    concurrent_studies: int = Field(default=1, ge=1)
    studies_per_owner: int | None = Field(default=None, ge=1)
    gpus_per_pack: Annotated[float | None, AfterValidator(_whole_or_part)] = Field(default=None, ge=0)
    gpus_per_owner: float | None = Field(default=None, gt=0)
    lease_seconds: float = Field(default=30.0, gt=0)
    body_limit: int = Field(default=262_144, ge=1024)
    access: Access = Access.AUTO
    rate_limit: int = Field(default=6000, ge=0)
    webhooks_private: bool = False

    @model_validator(mode="after")
    def _check_gpus(self) -> Self:
        if self.gpus_per_owner is not None and self.gpus_per_owner < self._gpus:
            raise ValueError(f"L4_GPUS_PER_OWNER={self.gpus_per_owner:g} is less than one pack takes ({self._gpus:g})")
        return self

    @property
    def _gpus(self) -> float:
        """GPUs of each pack, where there are any."""
        return 1.0 if self.gpus_per_pack is None else self.gpus_per_pack

    @property
    def concurrent_studies_per_owner(self) -> int | None:
        """Studies of one owner that may be driven at the same time: no more than can have a pack each; None for any."""
        limits = [self.studies_per_owner] if self.studies_per_owner is not None else []
        if self.gpus_per_owner is not None and self._gpus > 0:
            limits.append(packs_within(self.gpus_per_owner, self._gpus))
        return min(limits, default=None)

    @property
    def database_url(self) -> str:
        """SQLAlchemy's address of the database."""
        return self.database or f"sqlite:///{(self.home / 'studies.db').absolute()}"

    def study_folder(self, study_id: str) -> Path:
        """Return the folder of a study's log, of what Tune writes, of checkpoints, and of what waits for MLflow."""
        return self.home / "studies" / study_id

    def driver_log(self, study_id: str) -> Path:
        """Return the file of what a study's driver says."""
        return self.study_folder(study_id) / "driver.log"

    def parameters_folder(self, study_id: str) -> Path:
        """Return the folder in which a study's final parameters wait for MLflow."""
        return self.study_folder(study_id) / "parameters"

    def checkpoints_folder(self, study_id: str) -> Path:
        """Return the folder of the checkpoints of a study's packs in training."""
        return self.study_folder(study_id) / "checkpoints"

    @property
    def url(self) -> str:
        """Where the HTTP service is reached from this machine."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0") else self.host
        return f"http://{host}:{self.port}"

    @property
    def needs_keys(self) -> bool:
        """Whether the HTTP service is used with API keys only."""
        return self.access is Access.KEYS or not is_loopback(self.host)

    @property
    def tracking_uri(self) -> str:
        """Where MLflow is reached."""
        return self.mlflow_uri or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def mlflow_browser_url(self) -> str:
        """Where browsers find MLflow."""
        return (self.mlflow_public_url or self.tracking_uri).rstrip("/")


def packs_within(gpus: float, each: float) -> int:
    """Return how many packs fit into so many GPUs.

    Args:
        gpus: All of them.
        each: GPUs of each pack, above 0.
    """
    return int(gpus / each + 1e-9)  # three times 0.1 fit into 0.3


def is_loopback(host: str) -> bool:
    """Say whether a name or an address is the machine's own, that nobody else can reach.

    Args:
        host: As in `127.0.0.1`, `::1` or `localhost`; other names are not looked up.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_settings() -> Settings:
    """Return the settings that the environment gives.

    Raises:
        BadSettingError: Some are not admitted; every one is named.
    """
    try:
        # pyright sees the fields alone
        return Settings(_secrets_dir=_SECRETS if _SECRETS.is_dir() else None)  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        faults = "; ".join(
            f"L4_{each['loc'][0]}".upper() + f"={each['input']}: {each['msg']}" if each["loc"] else each["msg"]
            for each in error.errors()
        )
        raise BadSettingError(f"bad settings in the environment: {faults}") from error
