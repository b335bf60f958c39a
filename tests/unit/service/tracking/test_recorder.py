"""Recording of studies in a local MLflow store: every run once, also after interruptions."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

from service.runner.ledger import StudyLedger
from service.settings import Settings
from service.states import State
from service.storage.lifecycle import commands
from service.storage.repositories.studies import Store
from service.tracking.mlflow import StudyTracker
from service.tracking.recorder import Recorder, lock
from service.tracking.sync_state import SyncState
from studies.environment import current_environment
from studies.execution.artifacts import ParameterStore
from studies.records.rows import Lane, Pack, Run
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.unit.service.runner.test_ledger import done, runs_of, some_trial

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ENDS = {State.SUCCEEDED: "FINISHED", State.FAILED: "FAILED", State.CANCELLED: "KILLED"}


# from MLflow's tables
pytestmark = [pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"), pytest.mark.heavy]


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)  # such a store keeps artifacts in the working directory
        yield f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def settings(tmp_path: Path, mlflow_uri: str) -> Settings:
    return Settings(home=tmp_path, mlflow_uri=mlflow_uri)


class Study:
    """A running study with one trained pack of each stage."""

    def __init__(self, store: Store, spec: StudySpec, settings: Settings) -> None:
        self.store, self.settings = store, settings
        self.id = store.add_study(spec, NOW)
        self.claim()
        self.weights = ParameterStore(folder=settings.parameters_folder(self.id))
        store.set_environment(self.id, current_environment().model_dump())
        self.ledger.add_plan([some_trial()], [])
        self.train(0, Stage.SEARCH)
        self.train(1, Stage.CONFIRM)

    def claim(self) -> None:
        """Claim the study."""
        claim = self.store.claim(NOW, 30.0)
        assert claim is not None
        self.token = claim.token
        self.ledger = StudyLedger(self.store, self.id, self.token)

    def train(self, number: int, stage: Stage) -> None:
        """Add a pack of two runs."""
        lanes = tuple(Lane(trial=0, seed=seed) for seed in (2 * number, 2 * number + 1))
        pack = Pack(number=number, workload="digits_mlp", arm="sgd", stage=stage, batch=0, lanes=lanes)
        runs = runs_of(pack)
        self.ledger.add_plan([], [pack])
        if stage is Stage.CONFIRM:
            for run in runs:
                self.weights.save(run, b"parameters")
        self.ledger.finish_pack(done(pack), runs)

    def end(self, state: State) -> None:
        """End the study."""
        if state is State.SUCCEEDED:
            self.ledger.save_report({"report.json": b"{}"})
        if state is State.CANCELLED:
            self.store.execute(self.id, commands.cancel)
        self.store.transition(self.id, state, "", self.token)

    def recorded(self) -> tuple[MlflowRun, list[MlflowRun]]:
        """Return the study's parent run and its child runs from MLflow."""
        experiment = self.store.study(self.id).mlflow_experiment
        assert experiment is not None
        mlflow_runs = MlflowClient(self.settings.tracking_uri).search_runs([experiment])
        parent, *others = sorted(mlflow_runs, key=lambda run: "mlflow.parentRunId" in run.data.tags)
        return parent, others

    def files(self, run: MlflowRun) -> set[str]:
        """Return the names of an MLflow run's artifacts."""
        return {file.path for file in MlflowClient(self.settings.tracking_uri).list_artifacts(run.info.run_id)}


@pytest.fixture
def study(store: Store, spec: StudySpec, settings: Settings) -> Study:
    return Study(store, spec, settings)


@pytest.fixture
def recorder(store: Store, settings: Settings) -> Recorder:
    return Recorder(settings, store, lambda: False)


def record_all(recorder: Recorder, now: datetime = NOW) -> None:
    while recorder.run_once(now):
        pass


def keys(runs: list[MlflowRun]) -> list[str]:
    return sorted(f"{run.data.tags['stage']} {run.data.tags['seed']}" for run in runs)


WHOLE = ["confirm 2", "confirm 3", "search 0", "search 1"]


@pytest.mark.parametrize("end", ENDS)
def test_a_study_that_ended_before_mlflow_had_it_is_recorded_whole(
    store: Store, study: Study, recorder: Recorder, end: State
) -> None:
    study.end(end)
    record_all(recorder)

    parent, runs = study.recorded()
    assert keys(runs) == WHOLE
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.params["lr"] for run in runs} == {str(some_trial().setting["lr"])}
    assert {run.data.metrics["final_validation_loss"] for run in runs} == {0.25}
    for run in runs:
        confirm = run.data.tags["stage"] == Stage.CONFIRM
        assert study.files(run) == ({"parameters.pt", "series.csv"} if confirm else set())
    assert parent.info.status == ENDS[end]
    report = {"report"} if end is State.SUCCEEDED else set[str]()
    assert study.files(parent) == {"spec.json", "environment.json"} | report
    assert SyncState(store).unfinished() == ()
    assert not list(study.weights.folder.rglob("*.pt"))


@pytest.mark.parametrize("end", ENDS)
def test_checkpoints_go_with_a_study_that_has_ended_for_good(
    store: Store, study: Study, recorder: Recorder, settings: Settings, end: State
) -> None:
    left = settings.checkpoints_folder(study.id) / "pack-00007.checkpoint"
    left.parent.mkdir(parents=True)
    left.touch()
    record_all(recorder)
    assert left.exists()
    study.end(end)
    record_all(recorder)
    assert left.exists() == (end is State.FAILED)  # a failed study may be retried


def test_a_running_study_is_followed_to_its_end(store: Store, study: Study, recorder: Recorder) -> None:
    record_all(recorder)
    parent, runs = study.recorded()
    assert (parent.info.status, len(runs)) == ("RUNNING", 4)

    study.train(2, Stage.CONFIRM)
    study.end(State.SUCCEEDED)
    record_all(recorder)

    parent, runs = study.recorded()
    assert (parent.info.status, len(runs)) == ("FINISHED", 6)


def test_a_retried_study_is_followed_once_more(store: Store, study: Study, recorder: Recorder) -> None:
    study.end(State.FAILED)
    failed = store.study(study.id)
    record_all(recorder)
    assert study.recorded()[0].info.status == "FAILED"

    store.execute(study.id, commands.retry)
    SyncState(store).finish(failed, NOW, found=4)  # as a recorder that read the study before the retry
    study.claim()
    record_all(recorder)
    parent, runs = study.recorded()
    assert (parent.info.status, len(runs)) == ("RUNNING", 4)

    study.train(2, Stage.CONFIRM)
    study.end(State.SUCCEEDED)
    record_all(recorder)
    parent, runs = study.recorded()
    assert (parent.info.status, len(runs)) == ("FINISHED", 6)
    assert len(keys(runs)) == len(set(keys(runs)))


def test_what_a_recorder_left_half_done_is_recorded_again(
    store: Store, settings: Settings, study: Study, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = Recorder(settings, store, lambda: False)
    marked: list[Run] = []

    def die_at_the_second_confirm_run(recordings: SyncState, study_id: str, run: Run) -> None:
        if len(marked) == 3:
            raise KeyboardInterrupt
        marked.append(run)
        mark(recordings, study_id, run)

    mark: Callable[[SyncState, str, Run], None] = SyncState.mark_tracked
    with monkeypatch.context() as patched:
        patched.setattr(SyncState, "mark_tracked", die_at_the_second_confirm_run)
        with pytest.raises(KeyboardInterrupt):
            record_all(dying)
    assert len(study.recorded()[1]) == 4
    study.end(State.SUCCEEDED)
    record_all(recorder)

    _, runs = study.recorded()
    assert keys(runs) == WHOLE
    assert all(study.files(run) for run in runs if run.data.tags["stage"] == Stage.CONFIRM)


def test_it_stops_between_two_runs(store: Store, settings: Settings, study: Study, recorder: Recorder) -> None:
    study.end(State.SUCCEEDED)
    answers = iter([False, True])
    assert not Recorder(settings, store, lambda: next(answers)).run_once(NOW)
    parent, runs = study.recorded()
    assert (parent.info.status, len(runs)) == ("RUNNING", 1)

    record_all(recorder)
    assert keys(study.recorded()[1]) == WHOLE


def test_a_study_that_mlflow_refuses_holds_up_no_other(
    store: Store, spec: StudySpec, settings: Settings, study: Study, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.end(State.SUCCEEDED)
    other = Study(store, spec, settings)
    other.end(State.SUCCEEDED)
    opened = StudyTracker.__init__

    def refuse(tracker: StudyTracker, *, uri: str, study_id: str, spec: StudySpec, experiment_id: str) -> None:
        if study_id == study.id:
            raise OSError("no MLflow")
        opened(tracker, uri=uri, study_id=study_id, spec=spec, experiment_id=experiment_id)

    with monkeypatch.context() as patched:
        patched.setattr(StudyTracker, "__init__", refuse)
        record_all(recorder)
    assert keys(other.recorded()[1]) == WHOLE
    assert SyncState(store).unfinished() == (study.id,)
    assert store.study(study.id).state is State.SUCCEEDED

    record_all(recorder, NOW + timedelta(minutes=1))
    assert keys(study.recorded()[1]) == WHOLE


def test_a_home_has_one_recorder(tmp_path: Path) -> None:
    first = lock(tmp_path)
    assert first is not None
    assert lock(tmp_path) is None
    first.close()
    again = lock(tmp_path)
    assert again is not None
    again.close()
