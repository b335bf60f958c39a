"""A real MLflow server, for the tests of what it keeps and deletes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.support.services.mlflow_server import serve_mlflow


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of MLflow's server."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def artifacts(mlflow_folder: Path) -> Path:
    """The artifacts destination of MLflow's server."""
    return mlflow_folder / "artifacts"


@pytest.fixture(scope="session")
def mlflow_uri(mlflow_folder: Path) -> Iterator[str]:
    """The tracking URI of MLflow's server."""
    with serve_mlflow(mlflow_folder) as uri:
        yield uri


@pytest.fixture
def settings(tmp_path: Path, mlflow_uri: str) -> Settings:
    """Settings of a deployment whose MLflow is that server."""
    return Settings(home=tmp_path / "home", mlflow_uri=mlflow_uri)
