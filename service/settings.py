"""The settings of the service, one class, read from the environment in `main` functions only."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import BadSettingError


class Settings(BaseSettings):
    """What a deployment can choose; each is also an environment variable `L4_<NAME>`.

    Args:
        home: Folder of everything the embedded service keeps: database, MLflow's store, logs.
        host: Address the HTTP service listens on.
        port: Port of the HTTP service.
        mlflow_port: Port of the embedded MLflow server.
        mlflow_uri: An MLflow server that runs elsewhere; the embedded one is not started then.
        database: SQLAlchemy's address of a PostgreSQL database; SQLite in `home` where empty.
        ray_address: A Ray cluster that runs elsewhere; a local one is started where empty.
        data_dir: Folder of the data sets; missing ones are downloaded into it.
        cpus: Processors for training on a local Ray; all of the machine's where None.
        concurrent_studies: Studies that one runner drives at the same time.
        lease_seconds: How long a runner that stopped answering keeps its study.
        body_limit: Largest accepted request body, in bytes.
    """

    model_config = SettingsConfigDict(env_prefix="L4_", frozen=True)

    home: Path = Path("out/home")
    host: str = "127.0.0.1"
    port: int = Field(default=8440, ge=1, le=65535)
    mlflow_port: int = Field(default=8450, ge=1, le=65535)
    mlflow_uri: str = ""
    database: str = ""
    ray_address: str = ""
    data_dir: Path = Path("out/data")
    cpus: int | None = Field(default=None, ge=1)
    concurrent_studies: int = Field(default=1, ge=1)
    lease_seconds: float = Field(default=30.0, gt=0)
    body_limit: int = Field(default=262_144, ge=1024)

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
        return f"http://{self.host}:{self.port}"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow is reached."""
        return self.mlflow_uri or f"http://127.0.0.1:{self.mlflow_port}"


def read_settings() -> Settings:
    """Return the settings that the environment gives.

    Raises:
        BadSettingError: Some are not admitted; every one is named.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"L4_{each['loc'][0]}".upper() + f"={each['input']}: {each['msg']}" for each in error.errors()
        )
        raise BadSettingError(f"bad settings in the environment: {faults}") from error
