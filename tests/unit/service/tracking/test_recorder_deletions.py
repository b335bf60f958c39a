"""Deletion of MLflow experiments of deleted studies: completed despite interruptions, other studies unaffected."""

from datetime import timedelta
from pathlib import Path

import pytest
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

from service.settings import Settings
from service.states import State
from service.storage.repositories.deletions import Deletions
from service.storage.repositories.studies import Store
from service.tracking.recorder import Recorder
from service.tracking.sync_state import SyncState
from studies.spec.study import StudySpec
from tests.unit.service.tracking.test_recorder import NOW, WHOLE, Study, keys, record_all

# from MLflow's tables
pytestmark = [pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"), pytest.mark.heavy]


@pytest.fixture
def recorder(store: Store, settings: Settings) -> Recorder:
    return Recorder(settings, store, lambda: False)


class Recorded:
    """A completely recorded study, with its MLflow experiment and artifacts.

    Args:
        store: The database.
        spec: The study.
        settings: The deployment's settings.
        recorder: The recorder that records it.
        artifacts: The artifacts destination of MLflow's server.
    """

    def __init__(self, store: Store, spec: StudySpec, settings: Settings, recorder: Recorder, artifacts: Path) -> None:
        self.study = Study(store, spec, settings)
        self.study.end(State.SUCCEEDED)
        record_all(recorder)
        experiment = store.study(self.study.id).mlflow_experiment
        assert experiment is not None
        self.id, self.experiment = self.study.id, experiment
        self._client = MlflowClient(settings.tracking_uri)
        self.artifacts = artifacts / experiment
        assert len(self.files()) == 3 + 2 * 2

    def files(self) -> list[Path]:
        """Return the experiment's artifacts."""
        return [path for path in self.artifacts.rglob("*") if path.is_file()]

    def is_there(self) -> bool:
        """Return whether MLflow lists the experiment or one of its runs."""
        experiment_ids = {experiment.experiment_id for experiment in self._client.search_experiments()}
        return self.experiment in experiment_ids or bool(self._client.search_runs([self.experiment]))

    def is_hidden(self) -> bool:
        """Return whether MLflow lists the experiment as deleted."""
        deleted = self._client.search_experiments(view_type=ViewType.DELETED_ONLY)
        return self.experiment in {experiment.experiment_id for experiment in deleted}


@pytest.fixture
def removing(settings: Settings, store: Store) -> Deletions:
    return Deletions(settings, store)


def test_its_experiment_is_gone_with_its_artifacts_and_no_other_is(
    store: Store,
    spec: StudySpec,
    settings: Settings,
    recorder: Recorder,
    removing: Deletions,
    artifacts: Path,
) -> None:
    gone, kept = (Recorded(store, spec, settings, recorder, artifacts) for _ in range(2))
    settings.driver_log(gone.id).parent.mkdir(parents=True, exist_ok=True)
    assert not removing.delete(gone.id, NOW, mlflow=True)
    record_all(recorder)

    assert not gone.is_there()
    assert gone.is_hidden()
    assert gone.files() == []
    assert not settings.study_folder(gone.id).exists()
    assert removing.pending() == ()
    assert kept.is_there()
    assert len(kept.files()) == 3 + 2 * 2
    assert keys(kept.study.recorded()[1]) == WHOLE
    record_all(recorder)
    assert kept.is_there()


def test_its_experiment_stays_where_that_was_not_asked_for(
    store: Store,
    spec: StudySpec,
    settings: Settings,
    recorder: Recorder,
    removing: Deletions,
    artifacts: Path,
) -> None:
    recorded = Recorded(store, spec, settings, recorder, artifacts)
    assert removing.delete(recorded.id, NOW, mlflow=False)
    record_all(recorder)
    assert recorded.is_there()
    assert recorded.files()


def test_an_mlflow_that_is_away_is_asked_again_by_any_later_recorder(
    store: Store,
    spec: StudySpec,
    settings: Settings,
    recorder: Recorder,
    removing: Deletions,
    artifacts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = Recorded(store, spec, settings, recorder, artifacts)
    removing.delete(recorded.id, NOW, mlflow=True)
    attempts: list[str] = []

    def refuse(*, uri: str, study_id: str, experiment_id: str) -> None:
        attempts.append(study_id)
        raise OSError("no MLflow")

    with monkeypatch.context() as patched:
        patched.setattr("service.tracking.recorder.delete_experiment", refuse)
        for _ in range(3):
            record_all(recorder)
    assert attempts == [recorded.id]
    assert recorded.is_there()
    assert len(removing.pending()) == 1

    record_all(Recorder(settings, store, lambda: False))
    assert not recorded.is_there()
    assert removing.pending() == ()


def test_one_that_dies_in_between_is_finished_by_the_next(
    store: Store,
    spec: StudySpec,
    settings: Settings,
    recorder: Recorder,
    removing: Deletions,
    artifacts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = Recorded(store, spec, settings, recorder, artifacts)
    removing.delete(recorded.id, NOW, mlflow=True)

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    for step in (MlflowClient, "delete_experiment"), (Deletions, "finish"):
        with monkeypatch.context() as patched:
            patched.setattr(*step, die)
            with pytest.raises(KeyboardInterrupt):
                record_all(recorder)
        assert len(removing.pending()) == 1
    assert recorded.files() == []
    record_all(Recorder(settings, store, lambda: False))
    assert not recorded.is_there()
    assert removing.pending() == ()


def test_a_study_that_is_deleted_while_it_is_recorded_leaves_nothing(
    store: Store,
    spec: StudySpec,
    settings: Settings,
    recorder: Recorder,
    removing: Deletions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = Study(store, spec, settings)
    study.end(State.CANCELLED)
    untracked_runs = SyncState.untracked_runs

    def delete_first(recordings: SyncState, study_id: str, limit: int) -> object:
        rows = untracked_runs(recordings, study_id, limit)
        if study_id == study.id and rows:
            removing.delete(study_id, NOW, mlflow=True)
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(SyncState, "untracked_runs", delete_first)
        record_all(recorder)
    record_all(recorder, NOW + timedelta(minutes=1))
    names = [experiment.name for experiment in MlflowClient(settings.tracking_uri).search_experiments()]
    assert not [name for name in names if study.id in name]
    assert removing.pending() == ()
    assert not settings.study_folder(study.id).exists()
