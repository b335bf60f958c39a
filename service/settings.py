"""The settings of the service; only `main` functions read them from the environment."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import BadSettingError

#: Secret settings in containers: one file each, named like the environment variable.
_SECRETS_DIR = Path("/run/secrets/database")


class Access(StrEnum):
    """When API keys are needed."""

    #: If other machines can reach the service.
    AUTO = "auto"
    #: Always.
    KEYS = "keys"


def _check_gpus(gpus: float | None) -> float | None:
    """Return a number of GPUs that Ray can assign to a pack: a fraction of one, or a whole number."""
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise ValueError("give a part of one GPU, as in 0.5, or a whole number of them")
    return gpus


class Settings(BaseSettings):
    """The settings of a deployment; each is the environment variable `L4_<NAME>`, or the secret file `l4_<name>`.

    Args:
        home: Folder of the embedded service's data: database, MLflow's store, logs.
        host: Address the HTTP service listens on; API keys are needed on any but a loopback address.
        port: Port of the HTTP service.
        mlflow_port: Port of the embedded MLflow server.
        mlflow_uri: URI of an external MLflow server; the embedded one is started if empty.
        mlflow_public_url: MLflow's address for browsers, a URL or a path of the service's origin; the tracking URI if
            empty.
        database: SQLAlchemy URL of a PostgreSQL database; SQLite in `home` if empty.
        ray_address: Address of an external Ray cluster; a local one is started if empty.
        node_address: Name or address by which other machines' Ray nodes reach this one (`service.runner.node` only);
            the machine's own if empty.
        data_dir: Folder of the data sets; missing ones are downloaded.
        cpus: CPUs for training on a local Ray; all of the machine if None.
        concurrent_studies: Maximum number of studies that one runner drives at a time.
        studies_per_owner: Maximum number of one owner's studies that are driven at a time; unlimited if None.
        gpus_per_pack: GPUs of each pack, a fraction of one or a whole number; one on a cluster with GPUs if None.
        gpus_per_owner: Maximum number of GPUs for all packs of one owner's studies; unlimited if None.
        lease_seconds: How long a study stays with a runner that stopped renewing its lease.
        body_limit: Maximum length of a request body, in bytes.
        access: Whether API keys are needed on a loopback address too.
        rate_limit: Maximum number of requests per minute with one API key, or from one address without a key; 0 for no
            limit.
        webhooks_private: Whether webhooks may have private addresses.
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
    gpus_per_pack: Annotated[float | None, AfterValidator(_check_gpus)] = Field(default=None, ge=0)
    gpus_per_owner: float | None = Field(default=None, gt=0)
    lease_seconds: float = Field(default=30.0, gt=0)
    body_limit: int = Field(default=262_144, ge=1024)
    access: Access = Access.AUTO
    rate_limit: int = Field(default=6000, ge=0)
    webhooks_private: bool = False

    @model_validator(mode="after")
    def _check_gpus_per_owner(self) -> Self:
        if self.gpus_per_owner is not None and self.gpus_per_owner < self._gpus:
            raise ValueError(f"L4_GPUS_PER_OWNER={self.gpus_per_owner:g} is less than one pack takes ({self._gpus:g})")
        return self

    @property
    def _gpus(self) -> float:
        """GPUs of each pack, on a cluster with GPUs."""
        return 1.0 if self.gpus_per_pack is None else self.gpus_per_pack

    @property
    def concurrent_studies_per_owner(self) -> int | None:
        """Maximum number of one owner's studies driven at a time, so that each can have a pack; None if unlimited."""
        limits = [self.studies_per_owner] if self.studies_per_owner is not None else []
        if self.gpus_per_owner is not None and self._gpus > 0:
            limits.append(packs_within(self.gpus_per_owner, self._gpus))
        return min(limits, default=None)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database or f"sqlite:///{(self.home / 'studies.db').absolute()}"

    def study_folder(self, study_id: str) -> Path:
        """Return the folder of a study's files: log, Tune's files, checkpoints, and files to upload to MLflow."""
        return self.home / "studies" / study_id

    def driver_log(self, study_id: str) -> Path:
        """Return the path of the log of a study's driver."""
        return self.study_folder(study_id) / "driver.log"

    def parameters_folder(self, study_id: str) -> Path:
        """Return the folder of a study's final parameters, until they are uploaded to MLflow."""
        return self.study_folder(study_id) / "parameters"

    def checkpoints_folder(self, study_id: str) -> Path:
        """Return the folder of the checkpoints of a study's packs."""
        return self.study_folder(study_id) / "checkpoints"

    @property
    def url(self) -> str:
        """The HTTP service's URL on this machine."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0") else self.host
        return f"http://{host}:{self.port}"

    @property
    def needs_keys(self) -> bool:
        """Whether requests need an API key."""
        return self.access is Access.KEYS or not is_loopback(self.host)

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking URI."""
        return self.mlflow_uri or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def mlflow_browser_url(self) -> str:
        """MLflow's URL for browsers."""
        return (self.mlflow_public_url or self.tracking_uri).rstrip("/")


def packs_within(gpus: float, gpus_per_pack: float) -> int:
    """Return how many packs fit on some GPUs.

    Args:
        gpus: The number of GPUs.
        gpus_per_pack: GPUs of each pack, above 0.
    """
    return int(gpus / gpus_per_pack + 1e-9)  # 0.1 fits three times into 0.3


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address or `localhost`.

    Args:
        host: A name or an address; names other than `localhost` are not resolved.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_settings() -> Settings:
    """Return the settings from the environment.

    Raises:
        BadSettingError: Some settings are invalid; the message lists all of them.
    """
    try:
        # pyright knows only the fields as parameters
        return Settings(_secrets_dir=_SECRETS_DIR if _SECRETS_DIR.is_dir() else None)  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        faults = "; ".join(
            f"L4_{fault['loc'][0]}".upper() + f"={fault['input']}: {fault['msg']}" if fault["loc"] else fault["msg"]
            for fault in error.errors()
        )
        raise BadSettingError(f"bad settings in the environment: {faults}") from error
