"""Budgets of time: the searches end so that what they found can be confirmed, and all ends when the time is up."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from service.runner.ledger import StudyLedger
from service.storage.repositories.studies import Store
from service.storage.tables import events
from studies.execution import time_budget
from studies.execution.driver import Driver
from studies.execution.jobs import FailureKind, Job, TrainingSite
from studies.execution.ledger import Ledger
from studies.planning.throughput import Speed
from studies.records.rows import Lane, Limit, Mode, Pack, Rows
from studies.reporting.builder import build_report
from studies.reporting.report import Report
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.support.planted_studies import provenance
from tests.support.progress import progress_of
from tests.support.simulated_driver import PACK_SECONDS, build_spec, driver, open_study, run_packs, simulate_result
from tests.support.training.throughput import next_pack

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time be asked for at every turn."""
    monkeypatch.setattr(time_budget, "POLL_SECONDS", 0.0)


def passing(store: Store, seconds: float) -> Callable[[], None]:
    """Return what lets so much time pass, by making everything that happened happen earlier."""

    def passes() -> None:
        with store.writing() as connection:
            for row in connection.execute(select(events)).all():
                earlier = row.at - timedelta(seconds=seconds)
                connection.execute(update(events).where(events.c.id == row.id).values(at=earlier))

    return passes


def reported(spec: StudySpec, ledger: StudyLedger) -> tuple[Rows, Report]:
    rows = ledger.rows()
    return rows, build_report(spec, rows, provenance(spec))


def confirmed(rows: Rows) -> int:
    return sum(run.stage is Stage.CONFIRM for run in rows.runs)


def test_the_searches_end_in_time_for_the_best_to_be_confirmed(tmp_path: Path) -> None:
    # a step of two lanes is said to take a second, so that confirming takes 3 * 2 * (40 + 100) / 2 = 420 seconds
    spec = build_spec({"seconds": 1000.0}, sampler="tpe", trials=12, batch=2)
    store, ledger = open_study(tmp_path, spec)
    source = driver(spec, ledger, tmp_path)
    run_packs(source, after=passing(store, 30.0))
    assert source.is_finished()
    assert source.is_complete()
    rows, report = reported(spec, ledger)
    assert rows.reached is Limit.SECONDS
    assert ledger.elapsed_seconds() < 1000 + 60
    assert confirmed(rows) == 6 * 4
    found = progress_of(spec, rows)
    assert found.done == found.total == len(rows.runs)
    cut = {key: each for key, each in found.searches.items() if each.truncated}
    assert cut
    assert all(spec.arm(arm).search for _, arm in cut)
    # the searches are equally far, but for the batch that is next
    assert max(each.trials_done for each in cut.values()) - min(each.trials_done for each in cut.values()) <= 2
    assert report.cut_short.startswith("The budget of 1,000 seconds ended the study early; trials done: ")
    assert not report.complete
    for workload in report.workloads:
        for arm in workload.arms:
            assert arm.complete
            assert arm.search.cut == ((workload.workload, arm.arm) in cut)
    (event,) = [each for each in store.events(store.studies(1).items[0].id) if each.reason.startswith("the budget")]
    assert event.reason.startswith("the budget of seconds: the searches end here")


def test_a_budget_that_is_used_up_ends_all_of_it(tmp_path: Path) -> None:
    spec = build_spec({"seconds": 100.0})
    store, ledger = open_study(tmp_path, spec)
    run_packs(driver(spec, ledger, tmp_path), after=passing(store, 25.0))
    rows, report = reported(spec, ledger)
    assert 4 <= sum(pack.done for pack in rows.packs) <= 5
    missing = 6 * 4 - confirmed(rows)
    assert missing > 0
    assert report.cut_short.endswith(f"{missing} confirm runs missing")
    assert not report.complete
    # a driver that comes after a restart has nothing to do, and says so
    again = driver(spec, ledger, tmp_path)
    assert (again.next_job(), again.is_finished(), again.is_complete()) == (None, True, True)


def test_what_is_in_training_is_finished_and_counts(tmp_path: Path) -> None:
    spec = build_spec({"seconds": 100.0})
    store, ledger = open_study(tmp_path, spec)
    source = driver(spec, ledger, tmp_path)
    jobs = [job for _ in range(3) if (job := next_pack(source, 2)) is not None]
    passing(store, 200.0)()
    assert (source.next_job(), source.is_finished(), source.is_complete()) == (None, False, False)
    for job in jobs:
        source.record_result(job.number, simulate_result(job))
    assert (source.next_job(), source.is_finished(), source.is_complete()) == (None, True, True)
    assert {pack.number for pack in ledger.rows().packs if pack.done} == {job.number for job in jobs}


def test_a_search_pack_that_is_lost_after_the_end_of_its_search_is_given_up(tmp_path: Path) -> None:
    spec = build_spec({"seconds": 4000.0}, batch=2)
    store, ledger = open_study(tmp_path, spec)
    source = driver(spec, ledger, tmp_path)
    jobs: list[Job] = [job for _ in range(6) if (job := next_pack(source, 2)) is not None]
    lost = next(job for job in jobs if job.optimizer == "sgd")
    for job in jobs:
        if job is not lost:
            source.record_result(job.number, simulate_result(job))
    passing(store, 3700.0)()
    after = next_pack(source, 2)
    assert after is not None
    assert ledger.rows().reached is Limit.SECONDS
    source.record_result(after.number, simulate_result(after))
    source.handle_failure(lost.number, "the worker died", FailureKind.LOST)
    run_packs(source)
    rows = ledger.rows()
    assert not next(pack for pack in rows.packs if pack.number == lost.number).done
    assert len({pack.number for pack in rows.packs}) == len(rows.packs)
    assert confirmed(rows) > 0


@pytest.mark.parametrize("packs", [1, 5, 9, 12])
def test_restarts_keep_what_was_spent_and_what_was_reached(tmp_path: Path, packs: int) -> None:
    spec = build_spec({"seconds": 1000.0}, sampler="tpe", trials=12, batch=2)
    store, ledger = open_study(tmp_path, spec)
    first = driver(spec, ledger, tmp_path)
    run_packs(first, packs=packs, after=passing(store, 30.0))
    next_pack(first, 2)  # lost with its driver
    run_packs(driver(spec, ledger, tmp_path), after=passing(store, 30.0))
    rows, report = reported(spec, ledger)
    assert rows.reached is Limit.SECONDS
    assert ledger.elapsed_seconds() < 1000 + 60
    assert confirmed(rows) == 6 * 4
    assert report.cut_short
    keys = [(run.workload, run.arm, run.stage, run.trial, run.seed) for run in rows.runs]
    assert len(set(keys)) == len(keys)


def test_gpu_hours_are_those_of_packs_on_gpus(tmp_path: Path) -> None:
    spec = build_spec({"gpu_hours": 10 * PACK_SECONDS / 3600})
    _, on_cpus = open_study(tmp_path / "cpus", spec)
    run_packs(driver(spec, on_cpus, tmp_path))
    rows, report = reported(spec, on_cpus)
    assert (rows.reached, report.cut_short, confirmed(rows)) == (None, "", 6 * 4)

    _, on_gpus = open_study(tmp_path / "gpus", spec)
    run_packs(driver(spec, on_gpus, tmp_path, gpus=1.0), packs=7)
    run_packs(driver(spec, on_gpus, tmp_path, gpus=1.0))  # what an earlier driver spent is spent
    rows, report = reported(spec, on_gpus)
    assert rows.reached is Limit.GPU_HOURS
    assert sum(pack.done for pack in rows.packs) == 10
    assert "gpu hours ended the study early" in report.cut_short


def test_time_that_is_left_ends_nothing(tmp_path: Path) -> None:
    spec, plain = build_spec({"seconds": 1e6}), build_spec()
    _, ledger = open_study(tmp_path / "timed", spec)
    run_packs(driver(spec, ledger, tmp_path))
    _, other = open_study(tmp_path / "plain", plain)
    run_packs(driver(plain, other, tmp_path))
    rows, report = reported(spec, ledger)
    assert (rows.reached, report.cut_short, report.complete) == (None, "", True)
    assert confirmed(rows) == confirmed(other.rows())


def test_time_that_ends_with_the_last_packs_ends_nothing_early(tmp_path: Path) -> None:
    spec = build_spec({"seconds": 1e6}, confirm_seeds=1)
    store, ledger = open_study(tmp_path, spec)
    source = driver(spec, ledger, tmp_path)
    while ledger.rows().reached is None and not _all_begun(spec, source, ledger):
        pass
    passing(store, 2e6)()
    assert source.next_job() is None
    assert ledger.rows().reached is None


def _all_begun(spec: StudySpec, source: Driver, ledger: StudyLedger) -> bool:
    """Train what comes but the confirm packs, which are only begun; say whether all have."""
    job = next_pack(source, 2)
    if job is not None and job.task.lanes[0].seed in spec.search_seeds:
        source.record_result(job.number, simulate_result(job))
    begun = [pack for pack in ledger.rows().packs if pack.stage is Stage.CONFIRM]
    return job is None and len(begun) == len(spec.pairs)


def test_half_of_the_time_is_the_searches_at_least() -> None:
    spec = build_spec({"seconds": 100.0})
    slow = dict.fromkeys(spec.pairs, (Speed(lanes=4, mode=Mode.EAGER, seconds=60.0),))
    needed = time_budget.confirm_cost(spec, {}, (), slow, workers=2)
    assert needed.pack_seconds == 3 * 60.0 * (40 + 100)
    assert needed.seconds == max(needed.pack_seconds / 2, 60.0 * 100) > 100.0

    whole = Pack(
        number=0,
        workload="digits_mlp",
        arm="adam",
        stage=Stage.SEARCH,
        batch=0,
        lanes=tuple(Lane(trial=i, seed=0) for i in range(4)),
        done=True,
        seconds=3 * 60.0 * 100,
    )
    rows = {("digits_mlp", "adam"): Rows(packs=(whole,))}
    slower = time_budget.confirm_cost(spec, rows, (), slow, workers=2)
    assert slower.pack_seconds == 3 * needed.pack_seconds  # as that pack was
    rows = {("digits_mlp", "adam"): Rows(packs=(replace(whole, done=False, seconds=None),))}
    with_it = time_budget.confirm_cost(spec, rows, (0,), slow, workers=2)
    assert with_it.pack_seconds == needed.pack_seconds + 60.0 * 100  # what is in training has to end first

    class Clock:
        def elapsed_seconds(self) -> float:
            return passed

    ledger: Ledger = Clock()  # pyright: ignore[reportAssignmentType]
    place = TrainingSite(data_dir=Path("unused"), programs=Path("unused"), hardware="here")
    found: dict[float, Limit | None] = {}
    for passed in (49.0, 51.0):
        found[passed] = time_budget.TimeBudget(spec, ledger, place).reached_limit(0.0, needed)
    assert found == {49.0: None, 51.0: Limit.SECONDS}
