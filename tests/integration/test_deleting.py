"""Deleting a study on a real service: from its lists, its home, its database and MLflow."""

import time

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient
from sqlalchemy import select

from service.client.client import Client
from service.client.connection import RequestRefusedError
from service.settings import Settings
from service.states import State
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from service.storage.tables import metadata
from tests.support.recorded import mlflow_runs

pytestmark = pytest.mark.slow

#: Trained in some seconds.
TINY = {
    "name": "tiny",
    "workloads": [{"name": "digits_mlp", "steps": 2}],
    "arms": [{"name": "sgd"}, {"name": "adam"}],
    "protocol": {"confirm_seeds": 2},
}


def rows_of(settings: Settings, study_id: str) -> list[str]:
    """Return the names of the tables that name a study."""
    engine = open_engine(settings.database_url)
    with Store(engine).reading() as connection:
        found = [
            table.name for table in metadata.sorted_tables if study_id in str(connection.execute(select(table)).all())
        ]
    engine.dispose()
    return found


def test_nothing_is_left_of_a_study_and_its_clone_is_as_it_was(settings: Settings, client: Client) -> None:
    *_, first = client.watch(client.submit(TINY).id)
    *_, clone = client.watch(client.clone(first.id, name="once more").id)
    assert (first.state, clone.state) == (State.SUCCEEDED, State.SUCCEEDED)
    experiments = [mlflow_runs(settings, study.id)[0].info.experiment_id for study in (first, clone)]
    artifacts = [settings.home / "mlflow" / "artifacts" / each for each in experiments]
    assert all(any(folder.rglob("*.pt")) for folder in artifacts)
    before = list(client.runs(clone.id))

    client.delete(first.id, mlflow=True)

    assert first.id not in [study.id for study in client.studies()]
    assert not settings.study_folder(first.id).exists()
    deadline = time.monotonic() + 60
    while "deletions" in rows_of(settings, first.id) and time.monotonic() < deadline:
        time.sleep(0.2)  # the recorder comes to it
    assert "runs" in rows_of(settings, clone.id)
    assert rows_of(settings, first.id) == ["events"]  # what the clone is a clone of
    tracking = MlflowClient(settings.tracking_uri)
    assert experiments[0] not in [found.experiment_id for found in tracking.search_experiments()]
    assert tracking.search_runs([experiments[0]]) == []
    assert len(tracking.search_runs([experiments[0]], run_view_type=ViewType.DELETED_ONLY)) == 1 + first.progress.done
    assert not artifacts[0].exists()
    with pytest.raises(RequestRefusedError, match="no study has the id"):
        client.delete(first.id, mlflow=True)

    assert list(client.runs(clone.id)) == before
    assert client.report(clone.id)
    assert settings.driver_log(clone.id).exists()
    assert len(mlflow_runs(settings, clone.id)) == 1 + clone.progress.done
    assert any(artifacts[1].rglob("*.pt"))


def test_a_study_is_deleted_the_moment_it_ends_and_the_next_is_run(settings: Settings, client: Client) -> None:
    def run_and_delete() -> str:
        *_, study = client.watch(client.submit(TINY).id, seconds=0.05)
        assert study.state is State.SUCCEEDED
        client.delete(study.id, mlflow=True)
        return study.id

    _, study_id = run_and_delete(), run_and_delete()
    deadline = time.monotonic() + 60
    while rows_of(settings, study_id) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert rows_of(settings, study_id) == []
    assert not settings.study_folder(study_id).exists()
    tracking = MlflowClient(settings.tracking_uri)
    assert not [found.name for found in tracking.search_experiments() if study_id in found.name]
    logs = {name: (settings.home / "logs" / f"{name}.log").read_text() for name in ("runner", "recorder", "api")}
    assert "deleted as soon as it had ended" in logs["runner"]
    assert {name: text for name, text in logs.items() if "Traceback" in text} == {}
