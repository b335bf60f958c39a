"""An estimate counts what a study really trains, and adds up what its packs take."""

import math
from pathlib import Path
from typing import Any

import pytest

from studies.planning.estimate import (
    PROGRAM_LOAD_SECONDS,
    STARTUP_SECONDS,
    ArmSpeeds,
    Basis,
    Estimate,
    TrainingCost,
    eager_seconds,
    estimate,
    stage_cost,
)
from studies.planning.planner import plan_next_packs
from studies.planning.throughput import Speed
from studies.records.rows import Mode, Rows
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from tests.support.simulated_driver import build_spec, drive_to_end

pytestmark = pytest.mark.heavy

EAGER = (Speed(lanes=4, mode=Mode.EAGER, seconds=0.004),)
COMPILED = (*EAGER, Speed(lanes=8, mode=Mode.COMPILED, seconds=0.0008, compile_seconds=20.0))


def estimated(spec: StudySpec, speeds: tuple[Speed, ...] = EAGER, workers: int = 2, **more: Any) -> Estimate:
    known = ArmSpeeds(speeds=speeds, basis=Basis.MEASURED, source="measured on this machine")
    return estimate(spec, dict.fromkeys(spec.pairs, known), workers=workers, **more)


def counted(spec: StudySpec, rows: Rows, workload: str, arm: str) -> tuple[int, int, int]:
    runs = [run for run in rows.runs if (run.workload, run.arm) == (workload, arm)]
    confirm_runs = sum(run.stage is Stage.CONFIRM for run in runs)
    return len(runs) - confirm_runs, confirm_runs, sum(run.steps for run in runs)


def counts(amount: TrainingCost) -> tuple[int, int, int]:
    return amount.search_runs, amount.confirm_runs, amount.run_steps


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe"])
@pytest.mark.parametrize("more", [{}, {"search_seeds": 2}, {"search_length": 0.5}, {"budget": {"trials": 2 + 4 * 4}}])
def test_a_study_trains_what_is_estimated(more: dict[str, Any], sampler: str, tmp_path: Path) -> None:
    spec = build_spec(sampler=sampler, **more)
    found, rows = estimated(spec), drive_to_end(spec, tmp_path)
    extensions = 0
    for each in found.arms:
        least, most = counts(each.expected), counts(each.most)
        own = counted(spec, rows, each.workload, each.arm)
        extended = own[0] > least[0]
        extensions += extended
        assert own == least or extended
        assert all(low <= real <= high for low, real, high in zip(least, own, most, strict=True))
    if sampler == "grid":
        assert extensions or more.get("budget")  # sgd's best rate lies beyond its range, as often as it is extended
        if "budget" not in more:
            sgd = next(each for each in found.arms if each.arm == "sgd")
            assert counted(spec, rows, sgd.workload, "sgd") == counts(sgd.most)
    assert counts(found.expected) == tuple(map(sum, zip(*(counts(each.expected) for each in found.arms), strict=True)))


def test_a_budget_is_in_the_estimate() -> None:
    spec = build_spec({"trials": 2 + 4 * 7})
    searched = next(each for each in estimated(spec).arms if each.arm == "adam")
    assert (searched.expected.search_runs, searched.most.search_runs) == (6, 7)


def test_a_fixed_arm_and_ranges_without_room_have_no_more() -> None:
    assert all(each.expected == each.most for each in estimated(build_spec()).arms if each.arm == "l4mom")


@pytest.mark.parametrize("speeds", [EAGER, COMPILED])
@pytest.mark.parametrize("runs", [1, 3, 4, 5, 8, 13])
def test_packs_take_what_the_plan_makes_of_them(speeds: tuple[Speed, ...], runs: int) -> None:
    spec = build_spec(trials=runs, batch=runs)
    workload, arm = spec.workload("digits_mlp"), spec.arm("adam")

    def rates(_w: WorkloadSpec, _a: ArmSpec, _s: object, _b: int, count: int) -> list[dict[str, float]]:
        return [{"lr": 0.01}] * count

    packs = plan_next_packs(spec, {}, {(workload.name, arm.name): speeds}, rates).packs
    step = {speed.mode: speed.seconds for speed in speeds}  # of a single size no more is known
    whole = [workload.steps * step[pack.mode] for pack in packs]
    taken = stage_cost(speeds, runs, workload.steps, 1)
    assert taken.pack_seconds == taken.seconds == pytest.approx(math.fsum(whole))
    many = stage_cost(speeds, runs, workload.steps, 100)
    assert many.pack_seconds == taken.pack_seconds
    assert many.seconds == pytest.approx(max(whole))


@pytest.mark.parametrize(
    ("measured", "lanes", "seconds"),
    [
        ({8: 4.0}, 1, 4.0),
        ({4: 4.0, 8: 6.0}, 1, 2.5),
        ({4: 4.0, 8: 6.0}, 4, 4.0),
        ({4: 4.0, 8: 6.0}, 6, 5.0),
        ({4: 4.0, 8: 3.0}, 2, 4.0),  # noise
        ({1: 1.0, 8: 16.0}, 4, 8.0),  # a lane costs more in the larger pack
    ],
)
def test_fewer_lanes_save_what_a_lane_was_measured_to_add(
    measured: dict[int, float], lanes: int, seconds: float
) -> None:
    speeds = [Speed(lanes=each, mode=Mode.EAGER, seconds=taken) for each, taken in measured.items()]
    assert stage_cost([speeds[-1]], 8, 1, 1).seconds == speeds[-1].seconds
    assert eager_seconds(speeds, lanes) == pytest.approx(seconds)


def test_a_narrower_step_is_compiled_anew() -> None:
    wide = (Speed(lanes=8, mode=Mode.COMPILED, seconds=0.8, compile_seconds=6.0),)
    assert stage_cost(wide, 1, 5, 1).pack_seconds == pytest.approx(5 * 0.8)
    assert stage_cost(wide, 1, 500, 1).pack_seconds == pytest.approx(6.0 + 500 * 0.1)


def test_a_compiled_step_is_loaded_first() -> None:
    fast = (Speed(lanes=4, mode=Mode.COMPILED, seconds=1e-9),)
    for each in estimated(build_spec(), fast).arms:
        assert each.expected.pack_seconds == pytest.approx(PROGRAM_LOAD_SECONDS, rel=1e-3)
        assert each.expected.seconds == pytest.approx(STARTUP_SECONDS + PROGRAM_LOAD_SECONDS, rel=1e-3)


def test_more_workers_shorten_a_study_as_far_as_its_batches_let_them() -> None:
    spec = build_spec()
    one, two, many = (estimated(spec, workers=workers).expected for workers in (1, 2, 1000))
    assert one.pack_seconds == two.pack_seconds == many.pack_seconds
    assert one.seconds == pytest.approx(STARTUP_SECONDS + one.pack_seconds)
    assert two.seconds == pytest.approx(STARTUP_SECONDS + two.pack_seconds / 2)
    # one batch after the other, then the confirm runs: three packs of digits
    assert many.seconds == pytest.approx(STARTUP_SECONDS + 100 * (0.004 + 0.004 + 0.004))


def test_gpu_hours_are_those_of_packs_where_training_is_on_gpus() -> None:
    assert estimated(build_spec()).expected.gpu_hours == 0.0
    on_gpus = estimated(build_spec(), gpus=0.5)
    assert on_gpus.expected.gpu_hours == pytest.approx(on_gpus.expected.pack_seconds / 3600 / 2)
    assert sum(each.most.gpu_hours for each in on_gpus.arms) == pytest.approx(on_gpus.most.gpu_hours)


def test_what_is_guessed_is_measured_first_once_for_arms_that_train_alike() -> None:
    spec = build_spec()
    alike = spec.model_copy(update={"arms": (*spec.arms, spec.arm("sgd").model_copy(update={"name": "other"}))})
    known = ArmSpeeds(speeds=EAGER, basis=Basis.GUESS, source="a guess")
    guessed = estimate(alike, dict.fromkeys(alike.pairs, known))
    by_arm = {(each.workload, each.arm): each.expected.pack_seconds for each in guessed.arms}
    trained = stage_cost(EAGER, 3, 40, 1).pack_seconds * 2 + stage_cost(EAGER, 4, 40, 1).pack_seconds
    assert by_arm["linear_regression", "other"] == pytest.approx(trained)
    assert by_arm["linear_regression", "sgd"] == pytest.approx(trained + 2 * 0.5)


def test_what_was_measured_is_measured_again_where_compiling_would_pay() -> None:
    slow = (Speed(lanes=4, mode=Mode.EAGER, seconds=40.0),)
    taken = [estimated(build_spec(), speeds).arms[0].expected.pack_seconds for speeds in (slow, (*slow, *COMPILED[1:]))]
    again = stage_cost(slow, 1, 40, 1).pack_seconds + stage_cost(slow, 4, 40, 1).pack_seconds
    assert taken[0] == pytest.approx(again + 2 * 6 * 40.0 + 6.0)
    assert taken[1] < taken[0] / 10
