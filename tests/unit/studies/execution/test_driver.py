"""Driving a study pack by pack, with real training and a real database, but no cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.engine import open_engine
from service.storage.entities import Claim
from service.storage.repositories.studies import Store
from studies.errors import PackFailedError
from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.execution.driver import MAX_RETRIES, Driver
from studies.execution.jobs import FailureKind, Job, TrainingSite
from studies.execution.worker import train_pack
from studies.records.rows import Outcome, Rows
from studies.registry import build_catalogue
from studies.spec.parameters import Precision, Stage
from studies.spec.study import StudySpec
from studies.validation.resolver import resolve
from tests.support.paths import ROOT
from tests.support.training.throughput import next_pack

pytestmark = pytest.mark.heavy

PLACE = TrainingSite(data_dir=Path("unused"), programs=Path("unused"), hardware="here")


@pytest.fixture
def spec() -> StudySpec:
    return resolve(
        {
            "name": "driven",
            "workloads": [{"name": "linear_regression", "steps": 6}, {"name": "digits_mlp", "steps": 6}],
            "arms": [{"name": "l4mom"}, {"name": "sgd", "search": {"lr": {}}}],
            "protocol": {"sampler": "tpe", "trials": 6, "batch": 3, "confirm_seeds": 6},
        },
        build_catalogue(),
    )


@pytest.fixture
def claim(store: Store, spec: StudySpec) -> Claim:
    return claimed(store, spec)


@pytest.fixture
def ledger(store: Store, claim: Claim) -> StudyLedger:
    return StudyLedger(store, claim.study_id, claim.token)


@pytest.fixture
def weights(tmp_path: Path) -> ParameterStore:
    return ParameterStore(folder=tmp_path / "parameters")


def claimed(store: Store, spec: StudySpec) -> Claim:
    store.add_study(spec, datetime.now(UTC))
    claim = store.claim(datetime.now(UTC), 1000)
    assert claim is not None
    return claim


def checkpoints_of(weights: ParameterStore) -> CheckpointStore:
    return CheckpointStore(folder=weights.folder / "checkpoints")


def driver(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore, paused: Callable[[], bool] = lambda: False
) -> Driver:
    return Driver(
        spec=spec,
        ledger=ledger,
        site=PLACE,
        parameters=weights,
        checkpoints=checkpoints_of(weights),
        paused=paused,
    )


def drive(source: Driver, packs: int | None = None) -> None:
    """Train one pack after another: all, or so many."""
    while not source.is_finished() and packs != 0:
        job = next_pack(source)
        assert job is not None
        source.record_result(job.number, train_pack(job, "cpu"))
        packs = None if packs is None else packs - 1


def results(rows: Rows) -> set[tuple[object, ...]]:
    return {(run.workload, run.arm, run.stage, run.trial, run.seed, run.train_loss) for run in rows.runs}


def test_trains_everything_once(spec: StudySpec, ledger: StudyLedger, weights: ParameterStore) -> None:
    drive(driver(spec, ledger, weights))
    rows = ledger.rows()
    assert all(pack.done and pack.seconds is not None and pack.host for pack in rows.packs)
    assert all(len(pack.lanes) <= 4 for pack in rows.packs)
    keys = [(run.workload, run.arm, run.stage, run.trial, run.seed) for run in rows.runs]
    assert len(set(keys)) == len(keys)
    for arm in ("l4mom", "sgd"):
        confirmed = [run for run in rows.runs if (run.arm, run.stage) == (arm, Stage.CONFIRM)]
        assert {(run.workload, run.seed) for run in confirmed} == {
            (workload, seed) for workload in ("linear_regression", "digits_mlp") for seed in spec.confirm_seeds
        }
        assert all(weights.path(run).stat().st_size > 0 for run in confirmed)
    assert not any(weights.path(run).exists() for run in rows.runs if run.stage is Stage.SEARCH)
    assert all(
        any(name.startswith("test_") for name in run.metrics) == (run.stage is Stage.CONFIRM)
        for run in rows.runs
        if run.workload == "digits_mlp"
    )


@pytest.mark.parametrize("packs", [1, 4, 7])
def test_a_new_driver_goes_on_to_the_same_results(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore, store: Store, claim: Claim, packs: int
) -> None:
    first = driver(spec, ledger, weights)
    drive(first, packs)
    next_pack(first)  # a pack that is lost with its driver
    drive(driver(spec, ledger, weights))

    store.transition(claim.study_id, State.SUCCEEDED, "", claim.token)
    other = claimed(store, spec)
    whole = StudyLedger(store, other.study_id, other.token)
    drive(driver(spec, whole, weights))
    assert results(ledger.rows()) == results(whole.rows())


def test_the_next_batch_waits_for_the_one_before(spec: StudySpec, ledger: StudyLedger, weights: ParameterStore) -> None:
    source = driver(spec, ledger, weights)
    taken: list[Job] = []
    while (job := next_pack(source)) is not None:
        taken.append(job)
    # for each workload: the fixed arm's one trial, and the first three of the search
    assert sorted(len(job.task.lanes) for job in taken) == [1, 1, 3, 3]
    assert not source.is_finished()
    searched = next(job for job in taken if job.optimizer == "sgd")
    source.record_result(searched.number, train_pack(searched, "cpu"))
    following = next_pack(source)
    assert following is not None
    assert following.optimizer == "sgd"
    assert next_pack(source) is None


def test_a_paused_study_takes_what_is_in_training_and_hands_nothing_out(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore
) -> None:
    pause: list[bool] = []
    source = driver(spec, ledger, weights, lambda: bool(pause))
    job = next_pack(source)
    assert job is not None
    pause.append(True)
    assert (source.next_job(), source.is_finished(), source.is_complete()) == (None, False, False)
    source.record_result(job.number, train_pack(job, "cpu"))
    assert (source.next_job(), source.is_finished(), source.is_complete()) == (None, True, False)
    pause.clear()
    assert not source.is_finished()
    drive(source)
    assert source.is_complete()
    pause.append(True)
    assert source.is_complete()


def test_a_lost_pack_is_trained_again_a_few_times(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore
) -> None:
    source = driver(spec, ledger, weights)
    first = next_pack(source)
    assert first is not None
    for _ in range(MAX_RETRIES):
        source.handle_failure(first.number, "the worker died", FailureKind.LOST)
        again = next_pack(source)
        assert again == first
    with pytest.raises(PackFailedError, match=r"l4mom on linear_regression \(search\): the worker died"):
        source.handle_failure(first.number, "the worker died", FailureKind.LOST)


def test_a_lost_pack_that_got_further_is_trained_on(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore
) -> None:
    source, checkpoints = driver(spec, ledger, weights), checkpoints_of(weights)
    job = next_pack(source)
    assert job is not None
    assert job.checkpoints == checkpoints
    checkpoints.folder.mkdir(parents=True)
    for death in range(3 * MAX_RETRIES):
        if death % MAX_RETRIES == 0:  # it wrote one before it died
            checkpoints.path(job.number).touch()
            os.utime(checkpoints.path(job.number), ns=(death + 1, death + 1))
        source.handle_failure(job.number, "the worker died", FailureKind.LOST)
        assert next_pack(source) == job
    with pytest.raises(PackFailedError, match="the worker died"):
        source.handle_failure(job.number, "the worker died", FailureKind.LOST)


def test_a_checkpoint_that_was_not_there_before_is_told_once(
    ledger: StudyLedger, spec: StudySpec, weights: ParameterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[StudyLedger] = []

    def record_progress(own: StudyLedger) -> None:
        told.append(own)

    monkeypatch.setattr(StudyLedger, "record_progress", record_progress)
    checkpoints = checkpoints_of(weights)
    checkpoints.folder.mkdir(parents=True)
    checkpoints.path(0).touch()
    source = driver(spec, ledger, weights)
    source.poll()
    assert told == []  # an earlier driver's
    later = checkpoints.latest_modified_ns() + 1
    os.utime(checkpoints.path(0), ns=(later, later))
    for _ in range(3):
        source.poll()
    assert told == [ledger]


def test_checkpoints_are_removed_once_their_packs_are_rows(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore
) -> None:
    source, checkpoints = driver(spec, ledger, weights), checkpoints_of(weights)
    checkpoints.folder.mkdir(parents=True)
    first, second = next_pack(source), next_pack(source)
    assert first is not None
    assert second is not None
    for job in (first, second):
        checkpoints.path(job.number).touch()
    checkpoints.path(first.number).with_suffix(".123.partial").touch()  # of a worker that died at it
    source.record_result(first.number, train_pack(first, "cpu"))
    assert list(checkpoints.folder.iterdir()) == [checkpoints.path(second.number)]


def test_a_pack_that_fails_for_good_ends_the_study(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore
) -> None:
    source = driver(spec, ledger, weights)
    job = next_pack(source)
    assert job is not None
    with pytest.raises(PackFailedError, match="no data"):
        source.handle_failure(job.number, "no data", FailureKind.FAULT)


def test_a_pack_that_does_not_fit_into_memory_is_halved(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore, store: Store, claim: Claim
) -> None:
    source = driver(spec, ledger, weights)
    jobs = [job for _ in range(4) if (job := next_pack(source)) is not None]
    large = jobs[1]
    checkpoint = checkpoints_of(weights).path(large.number)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    source.handle_failure(large.number, "no memory", FailureKind.MEMORY)
    assert not checkpoint.exists()
    first, second = next_pack(source), next_pack(source)
    assert first is not None
    assert second is not None
    assert first.task.lanes + second.task.lanes == large.task.lanes
    assert len(first.task.lanes) == 2
    assert [len(pack.lanes) for pack in ledger.rows().packs] == [1, 2, 1, 3, 1]
    for job in (*(job for job in jobs if job is not large), first, second):
        source.record_result(job.number, train_pack(job, "cpu"))
    drive(source)
    packs = [pack for pack in ledger.rows().packs if (pack.workload, pack.arm) == ("linear_regression", "sgd")]
    assert max(len(pack.lanes) for pack in packs) == 2  # from then on as well

    store.transition(claim.study_id, State.SUCCEEDED, "", claim.token)
    other = claimed(store, spec)
    whole = StudyLedger(store, other.study_id, other.token)
    drive(driver(spec, whole, weights))
    assert results(ledger.rows()) == results(whole.rows())


def test_a_single_run_that_does_not_fit_into_memory_ends_the_study(
    spec: StudySpec, ledger: StudyLedger, weights: ParameterStore
) -> None:
    source = driver(spec, ledger, weights)
    job = next_pack(source)
    assert job is not None
    assert len(job.task.lanes) == 1
    with pytest.raises(PackFailedError, match="no memory"):
        source.handle_failure(job.number, "no memory", FailureKind.MEMORY)


@pytest.mark.slow
def test_a_study_ends_whole_where_memory_is_short(tmp_path: Path) -> None:
    # in a process of its own: what else runs in this one would be short of memory too
    command = [sys.executable, "-m", "tests.support.training.low_memory_driver", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    tried, ran, expected, largest = (json.loads(line) for line in ended.stdout.splitlines())
    assert tried[:2] == [8, 4]
    assert ran == expected >= 8 + 6
    assert largest < 8


HALVED = {
    "name": "halved",
    "workloads": [{"name": "digits_mlp", "epochs": 9}],
    "arms": [{"name": "l4mom"}, {"name": "sgd", "search": {"lr": {"low": 1e-4, "high": 1.0}}}],
    "protocol": {"sampler": "random", "trials": 16, "batch": 4, "confirm_seeds": 2, "pruner": "asha"},
}


def halved_rows(folder: Path, lanes: int) -> Rows:
    """Drive that study in a database of its own, each pack by a new driver, with so many lanes a pack."""
    folder.mkdir()
    store, spec = Store(open_engine(f"sqlite:///{folder / 'studies.db'}")), resolve(HALVED, build_catalogue())
    store.migrate()
    claim = claimed(store, spec)
    ledger, weights = StudyLedger(store, claim.study_id, claim.token), ParameterStore(folder=folder)
    while (job := next_pack(source := driver(spec, ledger, weights), lanes)) is not None:
        source.record_result(job.number, train_pack(job, "cpu"))
    return ledger.rows()


@pytest.mark.slow
def test_search_runs_that_are_behind_are_stopped_however_they_are_packed(tmp_path: Path) -> None:
    alone, packed = (halved_rows(tmp_path / str(lanes), lanes) for lanes in (1, 3))
    assert results(alone) == results(packed)
    assert [run.outcome for run in alone.runs] == [run.outcome for run in packed.runs]

    spec = resolve(HALVED, build_catalogue())
    searched = [run for run in packed.runs if (run.arm, run.stage) == ("sgd", Stage.SEARCH)]
    stopped = [run for run in searched if run.outcome is Outcome.STOPPED]
    assert len(searched) / 4 < len(stopped) <= len(searched) - spec.protocol.batch
    assert {run.steps for run in stopped} <= set(spec.workloads[0].rungs)
    assert all(run.trial >= spec.protocol.batch for run in stopped)  # the first batch has none before it
    whole = [run for run in searched if run.outcome is Outcome.FINISHED]
    best = min(whole, key=lambda run: run.train_loss).trial
    assert {run.trial for run in packed.runs if (run.arm, run.stage) == ("sgd", Stage.CONFIRM)} == {best}


def test_search_runs_may_be_shorter(store: Store, weights: ParameterStore) -> None:
    short = resolve(
        {
            "name": "short",
            "workloads": [{"name": "digits_mlp", "steps": 20}],
            "arms": [{"name": "l4mom"}, {"name": "sgd", "search": {"lr": {}}}],
            "protocol": {"trials": 2, "confirm_seeds": 2, "search_length": 0.25},
        },
        build_catalogue(),
    )
    claim = claimed(store, short)
    ledger = StudyLedger(store, claim.study_id, claim.token)
    drive(driver(short, ledger, weights))
    assert {(run.stage, run.steps) for run in ledger.rows().runs} == {(Stage.SEARCH, 5), (Stage.CONFIRM, 20)}


def test_products_are_computed_in_what_the_study_says(tmp_path: Path) -> None:
    found: list[dict[tuple[str, Stage], float]] = []
    for precision in Precision:
        body = {
            "name": "precise",
            "workloads": [{"name": "digits_mlp", "steps": 5}, {"name": "linear_regression", "steps": 5}],
            "arms": [{"name": "l4mom"}],
            "protocol": {"confirm_seeds": 1, "precision": precision.value},
        }
        spec, store = resolve(body, build_catalogue()), Store(open_engine(f"sqlite:///{tmp_path / precision}.db"))
        store.migrate()
        claim = claimed(store, spec)
        ledger = StudyLedger(store, claim.study_id, claim.token)
        drive(driver(spec, ledger, ParameterStore(folder=tmp_path)))
        found.append({(run.workload, run.stage): run.train_loss for run in ledger.rows().runs})
    full, tensor_cores, half = found
    assert full == tensor_cores  # there are none here
    for key, loss in full.items():
        # the regression is in float64 whatever is asked for
        assert (half[key] == loss) == (key[0] == "linear_regression")
        assert half[key] == pytest.approx(loss, rel=0.02)
