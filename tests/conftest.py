"""What several folders of tests use: a small catalogue, a study for it, and an empty database."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine

from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.spec.parameters import Direction, Hyperparameter, Metric, Option
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue, OptimizerEntry, WorkloadEntry
from studies.validation.resolver import resolve
from tests.support.services import postgres as postgresql


def pytest_configure() -> None:
    """Let no property test fail by the time that it takes: on a busy machine any takes longer than the default."""
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a PostgreSQL server, which `make test-slow` runs."""
    for item in items:
        if isinstance(item, pytest.Function) and "postgresql" in item.name:
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """A workload with validation data, one without, and two optimizers."""
    accuracy = Metric(name="accuracy", direction=Direction.MAXIMIZE, summary="Share of right answers.")
    digits = WorkloadEntry(
        name="digits_mlp",
        summary="Small pictures of digits.",
        options=(Option(name="batch_size", default=64, summary="Examples of a step.", low=1, high=1000),),
        default_steps=100,
        epoch_examples=1000,
        has_validation=True,
        metrics=(accuracy,),
        lanes=8,
    )
    regression = WorkloadEntry(
        name="linear_regression",
        summary="A linear net.",
        options=(Option(name="matrix", default="plain", summary="How A is made.", choices=("plain", "conditioned")),),
        default_steps=50,
        epoch_examples=1,
        has_validation=False,
        metrics=(),
        lanes=8,
    )
    lr = Hyperparameter(name="lr", default=0.1, summary="Step.", at_least=0, search_low=1e-4, search_high=1.0)
    eps = Hyperparameter(name="eps", default=1e-8, summary="Floor.", at_least=0, search_low=1e-10, search_high=1e-2)
    alpha = Hyperparameter(name="alpha", default=0.15, summary="Step.", at_least=0, search_low=0.01, search_high=1.0)
    return Catalogue(
        workloads=(digits, regression),
        optimizers=(
            OptimizerEntry(name="l4adam", summary="L4 over Adam.", hyperparameters=(alpha,)),
            OptimizerEntry(name="sgd", summary="Plain gradient descent.", hyperparameters=(lr, eps)),
        ),
    )


@pytest.fixture
def definition() -> dict[str, Any]:
    """A study as it is posted: 2 workloads x (1 fixed and 1 searched arm)."""
    return {
        "name": "A small study",
        "workloads": [
            {"name": "digits_mlp"},
            {"name": "linear_regression", "options": {"matrix": "conditioned"}, "steps": 20},
        ],
        "arms": [{"name": "l4adam"}, {"name": "sgd", "search": {"lr": {"low": 0.001, "high": 0.1}}}],
        "protocol": {"trials": 4, "confirm_seeds": 6},
    }


@pytest.fixture
def spec(definition: dict[str, Any], catalogue: Catalogue) -> StudySpec:
    """The complete spec of that study."""
    return resolve(definition, catalogue)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """The folder of a PostgreSQL server."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="l4-") as folder, postgresql.server(Path(folder)) as running:
        yield running


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy's address of an empty database: of SQLite, or of what a test is parametrized with."""
    kind: str = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    folder: Path = request.getfixturevalue("postgres")
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(postgresql.address(folder, "postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return postgresql.address(folder, name)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An empty database with its tables."""
    engine = open_engine(database)
    made = Store(engine)
    made.migrate()
    yield made
    engine.dispose()
