"""A driver's ledger: round trips, checks of the claim, idempotence, speed."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.errors import BadCursorError
from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.lifecycle import commands
from service.storage.repositories.studies import Store
from studies.errors import StoppedError
from studies.execution.ledger import Ledger
from studies.planning.planner import plan_next_packs
from studies.records.rows import Lane, Outcome, Pack, Rows, Run, Series, Trial, by_arm
from studies.search.selection import SearchState
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from tests.support.progress import progress_of
from tests.support.training.throughput import all_eager

pytestmark = [pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True), pytest.mark.heavy]

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def ledger(store: Store, spec: StudySpec) -> StudyLedger:
    store.add_study(spec, NOW)
    claim = store.claim(NOW, 30.0)
    assert claim is not None
    return StudyLedger(store, claim.study_id, claim.token)


def only_study(store: Store) -> str:
    return store.studies(1).items[0].id


def some_trial(number: int = 0, arm: str = "sgd") -> Trial:
    return Trial(workload="digits_mlp", arm=arm, number=number, batch=0, setting={"lr": 0.1 + 0.2, "eps": 1e-8})


def some_pack(number: int = 0, lanes: int = 2, arm: str = "sgd") -> Pack:
    members = tuple(Lane(trial=number, seed=seed) for seed in range(lanes))
    return Pack(number=number, workload="digits_mlp", arm=arm, stage=Stage.SEARCH, batch=0, lanes=members)


def runs_of(pack: Pack, series: tuple[Series, ...] = ()) -> list[Run]:
    return [
        Run(
            workload=pack.workload,
            arm=pack.arm,
            trial=lane.trial,
            seed=lane.seed,
            stage=pack.stage,
            outcome=Outcome.FINISHED,
            steps=100,
            start_loss=2.302585092994046,
            train_loss=0.1 + lane.seed / 3,
            metrics={"validation_loss": 0.25, "validation_accuracy": 0.9375},
            pack=pack.number,
            lane=place,
            series=series,
        )
        for place, lane in enumerate(pack.lanes)
    ]


def done(pack: Pack) -> Pack:
    return replace(pack, done=True, seconds=1.25, host="somewhere, cpu")


def test_it_is_a_ledger(ledger: Ledger) -> None:
    assert ledger.rows() == Rows()


def test_rows_read_back_as_they_were_written(ledger: StudyLedger) -> None:
    series = (
        Series(name="train_loss", steps=(1, 2, 2**40), values=(1.0, 1e-320, -0.0)),
        Series(name="effective_lr", steps=(0,), values=(0.1 + 0.2,)),
        Series(name="empty", steps=(), values=()),
    )
    pack = some_pack()
    ledger.add_plan([some_trial()], [pack])
    assert ledger.rows() == Rows(trials=(some_trial(),), packs=(pack,))

    ledger.finish_pack(done(pack), runs_of(pack, series))

    assert ledger.rows() == Rows(trials=(some_trial(),), packs=(done(pack),), runs=tuple(runs_of(pack)))
    assert ledger.rows(series=True).runs == tuple(runs_of(pack, series))


def test_numbers_that_are_not_finite_survive(ledger: StudyLedger) -> None:
    series = (Series(name="train_loss", steps=(1, 2, 3), values=(math.inf, -math.inf, math.nan)),)
    pack = some_pack(lanes=1)
    run = replace(
        runs_of(pack, series)[0],
        outcome=Outcome.DIVERGED,
        start_loss=math.nan,
        train_loss=math.inf,
        metrics={"a": math.nan, "b": -math.inf, "c": math.inf},
    )
    ledger.add_plan([some_trial()], [pack])
    ledger.finish_pack(done(pack), [run])

    stored = ledger.rows(series=True).runs[0]

    assert math.isnan(stored.start_loss)
    assert stored.train_loss == math.inf
    assert math.isnan(stored.metrics["a"])
    assert (stored.metrics["b"], stored.metrics["c"]) == (-math.inf, math.inf)
    assert stored.series[0].values[:2] == (math.inf, -math.inf)
    assert math.isnan(stored.series[0].values[2])


def test_rows_are_in_order_whatever_they_were_written_in(ledger: StudyLedger) -> None:
    packs = [some_pack(0, arm="sgd"), some_pack(1, arm="l4adam"), some_pack(2, arm="Z")]
    ledger.add_plan([some_trial(n, pack.arm) for n, pack in enumerate(packs)], packs)
    for pack in reversed(packs):
        ledger.finish_pack(done(pack), runs_of(pack)[::-1])

    rows = ledger.rows()

    assert [trial.arm for trial in rows.trials] == ["Z", "l4adam", "sgd"]
    assert [pack.number for pack in rows.packs] == [0, 1, 2]
    assert [(run.arm, run.seed) for run in rows.runs] == [
        (arm, seed) for arm in ("Z", "l4adam", "sgd") for seed in (0, 1)
    ]


def test_a_pack_is_finished_once(ledger: StudyLedger) -> None:
    pack = some_pack()
    ledger.add_plan([some_trial()], [pack])
    ledger.finish_pack(done(pack), runs_of(pack))
    before = ledger.rows(series=True)

    ledger.finish_pack(replace(done(pack), seconds=99.0), [replace(run, train_loss=7.0) for run in runs_of(pack)])

    assert ledger.rows(series=True) == before


def test_a_write_that_fails_half_way_leaves_nothing(ledger: StudyLedger) -> None:
    pack = some_pack()
    ledger.add_plan([some_trial()], [pack])
    twice = [runs_of(pack)[0], replace(runs_of(pack)[0], lane=1)]

    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.finish_pack(done(pack), twice)

    assert ledger.rows() == Rows(trials=(some_trial(),), packs=(pack,))


def test_a_report_replaces_the_one_before(store: Store, ledger: StudyLedger) -> None:
    ledger.save_report({"report.json": b"1", "old.svg": b"\x00\xff"})
    ledger.save_report({"report.json": b"2"})

    assert store.report_files(only_study(store)) == ("report.json",)
    assert store.report_file(only_study(store), "report.json") == b"2"


@pytest.mark.parametrize("end", [State.CANCELLING, State.SUCCEEDED, State.FAILED, State.QUEUED])
def test_nothing_is_written_once_the_study_is_not_running(store: Store, ledger: StudyLedger, end: State) -> None:
    pack = some_pack()
    ledger.add_plan([some_trial()], [pack])
    ledger.finish_pack(done(pack), runs_of(pack))
    before = ledger.rows(series=True)
    store.transition(only_study(store), end, "")

    for write in (
        lambda: ledger.add_plan([some_trial(1)], [some_pack(1)]),
        lambda: ledger.finish_pack(done(pack), runs_of(pack)),
        lambda: ledger.end(State.SUCCEEDED, ""),
    ):
        with pytest.raises(StoppedError, match="nothing more may be written"):
            write()

    assert ledger.rows(series=True) == before


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.FAILED, State.QUEUED])
def test_there_is_no_report_once_the_study_is_not_held(store: Store, ledger: StudyLedger, end: State) -> None:
    store.transition(only_study(store), end, "")
    with pytest.raises(StoppedError, match="nothing more may be written"):
        ledger.save_report({"report.json": b""})
    assert store.report_files(only_study(store)) == ()


def test_a_study_that_is_being_cancelled_still_gets_its_report(store: Store, ledger: StudyLedger) -> None:
    store.execute(only_study(store), commands.cancel)
    ledger.save_report({"report.json": b"{}"})
    ledger.release()
    assert store.state(only_study(store)) is State.CANCELLED
    assert store.report_file(only_study(store), "report.json") == b"{}"


def test_nothing_is_written_with_a_lost_lease(store: Store, ledger: StudyLedger) -> None:
    taken = store.claim(datetime(2026, 1, 3, tzinfo=UTC), 30.0)
    assert taken is not None

    with pytest.raises(StoppedError):
        ledger.add_plan([some_trial()], [some_pack()])
    StudyLedger(store, taken.study_id, taken.token).add_plan([some_trial()], [some_pack()])

    assert len(ledger.rows().trials) == 1


def test_runs_come_in_pages_with_their_settings(store: Store, ledger: StudyLedger) -> None:
    packs = [some_pack(number, lanes=3, arm=arm) for number, arm in enumerate(("sgd", "l4adam"))]
    ledger.add_plan([some_trial(n, pack.arm) for n, pack in enumerate(packs)], packs)
    for pack in packs:
        ledger.finish_pack(done(pack), runs_of(pack))
    study_id = only_study(store)

    first = store.run_page(study_id, 4)
    second = store.run_page(study_id, 4, first.next_cursor)

    assert [row.run for row in (*first.items, *second.items)] == list(ledger.rows().runs)
    assert first.items[0].setting == some_trial().setting
    assert second.next_cursor is None
    for cursor in ("0-9", "x", "-1-0", "9" * 40, "1-2-3"):
        with pytest.raises(BadCursorError):
            store.run_page(study_id, 4, cursor)


def test_ten_thousand_runs_are_written_and_read(store: Store, ledger: StudyLedger) -> None:
    series = tuple(
        Series(name=name, steps=tuple(range(100)), values=tuple(i / 7 for i in range(100)))
        for name in ("train_loss", "effective_lr", "validation_loss")
    )
    packs = [some_pack(number, lanes=50) for number in range(200)]

    ledger.add_plan([some_trial(number) for number in range(200)], packs)
    for pack in packs:
        ledger.finish_pack(done(pack), runs_of(pack, series))
    rows = ledger.rows(series=True)
    page = store.run_page(only_study(store), 200, "100-7")

    assert len(rows.runs) == 10_000
    assert len(page.items) == 200


def suggest_the_middle(
    workload: WorkloadSpec, arm: ArmSpec, state: SearchState, batch: int, count: int
) -> list[dict[str, float]]:
    return [{"lr": 0.01}] * count


def test_a_plan_and_its_progress_read_from_the_database(store: Store, ledger: StudyLedger, spec: StudySpec) -> None:
    speeds = all_eager(spec, {"digits_mlp": 8, "linear_regression": 8})
    plan = plan_next_packs(spec, by_arm(ledger.rows()), speeds, suggest_the_middle)
    ledger.add_plan(plan.trials, plan.packs)
    for pack in plan.packs:
        ledger.finish_pack(done(pack), runs_of(pack))

    study = store.study(only_study(store))
    progress = store.progress(study)

    assert progress == progress_of(spec, store.rows(study.id))
    assert progress.done == 2 * (1 + 4)
    assert progress.total >= 2 * (1 + 4 + 2 * 6)
