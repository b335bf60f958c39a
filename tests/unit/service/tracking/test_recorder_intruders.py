"""What others do in MLflow: the recorder neither writes to nor deletes what is not the study's, and goes on."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from mlflow.entities import LifecycleStage
from mlflow.tracking import MlflowClient

from service.api.presenters.conditions import conditions
from service.settings import Settings
from service.states import State
from service.storage.repositories.deletions import Deletions
from service.storage.repositories.studies import Store
from service.tracking.recorder import Recorder
from service.tracking.sync_state import SyncState
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.unit.service.tracking.test_recorder import NOW, WHOLE, Study, keys, record_all

# from MLflow's tables
pytestmark = [pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"), pytest.mark.heavy]

LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def tracking(settings: Settings) -> MlflowClient:
    return MlflowClient(settings.tracking_uri)


@pytest.fixture
def recorder(store: Store, settings: Settings) -> Recorder:
    return Recorder(settings, store, lambda: False)


@pytest.fixture
def study(store: Store, spec: StudySpec, settings: Settings) -> Study:
    settings.home.mkdir()
    return Study(store, spec, settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that the recorder's user can write, and that has nothing to do with the service."""
    chosen = tmp_path / "theirs"
    chosen.mkdir()
    (chosen / "thesis.txt").write_text("years of work")
    return chosen


def contents(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


def said(store: Store, study: Study) -> str:
    """What the study's conditions say of MLflow."""
    return "; ".join(each for each in conditions(store.study(study.id), {}, 0, NOW) if "MLflow" in each)


def test_an_experiment_that_took_the_name_is_not_written_to_nor_deleted(
    store: Store, settings: Settings, tracking: MlflowClient, study: Study, recorder: Recorder, folder: Path
) -> None:
    name = f"{store.study(study.id).name} [{study.id}]"
    trap = tracking.create_experiment(name, artifact_location=folder.as_uri())
    study.end(State.SUCCEEDED)
    record_all(recorder)

    assert keys(study.recorded()[1]) == WHOLE
    assert store.study(study.id).mlflow_experiment != trap
    assert tracking.search_runs([trap]) == []
    assert contents(folder) == ["thesis.txt"]

    removing = Deletions(settings, store)
    assert not removing.delete(study.id, NOW, mlflow=True)
    record_all(recorder)
    assert removing.pending() == ()
    assert contents(folder) == ["thesis.txt"]
    assert tracking.get_experiment(trap).lifecycle_stage == LifecycleStage.ACTIVE


def test_an_experiment_that_took_the_name_from_an_earlier_version_is_not_written_to(
    store: Store, tracking: MlflowClient, study: Study, recorder: Recorder, folder: Path
) -> None:
    name = f"{store.study(study.id).name} [{study.id}]"
    trap = tracking.create_experiment(name, artifact_location=folder.as_uri())
    store.set_experiment(study.id, trap)  # as the recorder did, which found it by its name
    study.end(State.SUCCEEDED)
    record_all(recorder)
    assert keys(study.recorded()[1]) == WHOLE
    assert store.study(study.id).mlflow_experiment != trap
    assert contents(folder) == ["thesis.txt"]


@pytest.mark.parametrize("state", [State.CANCELLED, State.SUCCEEDED])
def test_a_deleted_study_takes_no_folder_with_it_that_an_experiment_of_its_name_points_to(
    store: Store,
    settings: Settings,
    tracking: MlflowClient,
    study: Study,
    recorder: Recorder,
    folder: Path,
    state: State,
) -> None:
    study.end(state)
    if state is State.SUCCEEDED:
        record_all(recorder)
    trap = tracking.create_experiment(f"x [{study.id}]", artifact_location=folder.as_uri())
    removing = Deletions(settings, store)
    removing.delete(study.id, NOW, mlflow=True)
    record_all(recorder)
    assert contents(folder) == ["thesis.txt"]
    assert tracking.get_experiment(trap).lifecycle_stage == LifecycleStage.ACTIVE
    assert removing.pending() == ()


def test_artifacts_outside_the_destination_are_left_and_said(
    store: Store,
    settings: Settings,
    tracking: MlflowClient,
    study: Study,
    recorder: Recorder,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = tracking.create_experiment("moved", artifact_location=folder.as_uri(), tags={"l4.study": study.id})
    store.set_experiment(study.id, own)
    study.end(State.CANCELLED)
    removing = Deletions(settings, store)
    removing.delete(study.id, NOW, mlflow=True)
    with caplog.at_level(logging.WARNING):
        record_all(recorder)
    assert contents(folder) == ["thesis.txt"]
    assert tracking.get_experiment(own).lifecycle_stage == LifecycleStage.DELETED
    assert removing.pending() == ()
    assert study.id in caplog.text
    assert folder.as_uri() in caplog.text


@pytest.mark.parametrize("found", ["another's", "none"])
def test_an_id_that_is_another_experiments_or_none_deletes_nothing(
    store: Store,
    settings: Settings,
    tracking: MlflowClient,
    study: Study,
    recorder: Recorder,
    found: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    others = tracking.create_experiment(f"of another study than {study.id}")
    store.set_experiment(study.id, others if found == "another's" else "987654")
    study.end(State.CANCELLED)
    removing = Deletions(settings, store)
    removing.delete(study.id, NOW, mlflow=True)
    with caplog.at_level(logging.WARNING):
        record_all(recorder)
    assert tracking.get_experiment(others).lifecycle_stage == LifecycleStage.ACTIVE
    assert removing.pending() == ()
    assert f"study {study.id}" in caplog.text


def test_a_deleted_experiment_is_followed_by_another_and_what_is_missing_is_said(
    store: Store, spec: StudySpec, settings: Settings, tracking: MlflowClient, study: Study, recorder: Recorder
) -> None:
    other = Study(store, spec, settings)
    record_all(recorder)
    deleted = store.study(study.id).mlflow_experiment
    assert deleted is not None
    assert said(store, study) == ""
    tracking.delete_experiment(deleted)
    study.train(2, Stage.CONFIRM)
    study.end(State.SUCCEEDED)
    other.end(State.SUCCEEDED)
    for now in (NOW, LATER):
        record_all(recorder, now)

    assert store.study(study.id).mlflow_experiment != deleted
    parent, runs = study.recorded()
    assert (parent.info.status, keys(runs)) == ("FINISHED", ["confirm 4", "confirm 5"])
    assert "MLflow lacks 4 runs" in said(store, study)
    assert keys(other.recorded()[1]) == WHOLE
    assert said(store, other) == ""
    assert SyncState(store).unfinished() == ()


def test_an_experiment_that_is_deleted_before_the_end_leaves_no_study_unfinished(
    store: Store, tracking: MlflowClient, study: Study, recorder: Recorder
) -> None:
    record_all(recorder)
    deleted = store.study(study.id).mlflow_experiment
    assert deleted is not None
    study.end(State.SUCCEEDED)
    tracking.delete_experiment(deleted)
    for now in (NOW, LATER):
        record_all(recorder, now)
    assert SyncState(store).unfinished() == ()
    assert "MLflow lacks 4 runs" in said(store, study)


@pytest.mark.parametrize("harm", ["untagged", "deleted"])
@pytest.mark.parametrize("target", ["run", "parent"])
def test_runs_that_were_altered_hold_nothing_up(
    store: Store,
    settings: Settings,
    tracking: MlflowClient,
    study: Study,
    recorder: Recorder,
    harm: str,
    target: str,
) -> None:
    record_all(recorder)
    parent, runs = study.recorded()
    harmed = (runs[0] if target == "run" else parent).info.run_id
    if harm == "untagged":
        tracking.delete_tag(harmed, "l4.run")
    else:
        tracking.delete_run(harmed)
    study.train(2, Stage.CONFIRM)
    study.end(State.SUCCEEDED)
    for start in (recorder, Recorder(settings, store, lambda: False)):
        for now in (NOW, LATER):
            record_all(start, now)
    assert SyncState(store).unfinished() == ()
    assert ("MLflow lacks 1 run of it" in said(store, study)) == (target == "run")


def test_a_study_that_is_deleted_while_its_experiment_is_made_leaves_none(
    store: Store,
    settings: Settings,
    tracking: MlflowClient,
    study: Study,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study.end(State.CANCELLED)
    removing = Deletions(settings, store)
    save = Store.set_experiment

    def delete_first(opened: Store, study_id: str, experiment: str) -> None:
        assert removing.delete(study_id, NOW, mlflow=True)
        save(opened, study_id, experiment)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "set_experiment", delete_first)
        record_all(recorder)
    assert not [found.name for found in tracking.search_experiments() if study.id in found.name]
    assert removing.pending() == ()
