"""The plan is a function of spec and rows: batch after batch, then confirm, the same after a restart."""

from collections import Counter
from dataclasses import replace

import pytest

from studies.planning.planner import plan_next_packs
from studies.planning.throughput import Speed
from studies.records.rows import Mode, Rows, by_arm
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec
from tests.support.progress import progress_of
from tests.support.training.throughput import all_eager

ARMS = {name: OUTCOMES[name] for name in ("l4", "better", "worse")}
SPEC = planted_spec(ARMS)
LANES = {"bowl": 4, "valley": 16}
SPEEDS = all_eager(SPEC, LANES)
WHOLE = planted_rows(SPEC, ARMS)


def nothing_asked(*_asked: object) -> list[dict[str, float]]:
    raise AssertionError("a sampler was asked")


def rates(_workload: object, _arm: object, _search: object, _batch: int, count: int) -> list[dict[str, float]]:
    return [{"lr": 0.001 * (i + 1)} for i in range(count)]


def test_begins_with_every_search_and_every_fixed_arm() -> None:
    added = plan_next_packs(SPEC, {}, SPEEDS, rates)
    assert {(trial.workload, trial.arm) for trial in added.trials} == {
        (workload, arm) for workload in LANES for arm in ARMS
    }
    assert len(added.trials) == 2 * (1 + 9 + 9)
    assert [pack.number for pack in added.packs] == list(range(len(added.packs)))
    assert all(pack.stage is Stage.SEARCH and not pack.done for pack in added.packs)
    sizes = {(pack.workload, pack.arm): [] for pack in added.packs}
    for pack in added.packs:
        sizes[pack.workload, pack.arm].append(len(pack.lanes))
    assert sizes["bowl", "better"] == [4, 4, 1]
    assert sizes["valley", "better"] == [9]
    assert sizes["bowl", "l4"] == [1]


def test_settings_are_complete() -> None:
    added = plan_next_packs(SPEC, {}, SPEEDS, rates)
    assert all(set(trial.setting) == {"lr", "momentum"} for trial in added.trials if trial.arm != "l4")
    assert all(trial.setting == {"alpha": 0.15} for trial in added.trials if trial.arm == "l4")


def test_a_search_waits_until_all_its_packs_are_done() -> None:
    added = plan_next_packs(SPEC, {}, SPEEDS, rates)
    assert not plan_next_packs(SPEC, by_arm(Rows(trials=added.trials, packs=added.packs)), SPEEDS, nothing_asked).packs


def test_nothing_is_added_to_a_whole_study() -> None:
    added = plan_next_packs(SPEC, by_arm(WHOLE), SPEEDS, nothing_asked)
    assert (added.trials, added.packs) == ((), ())
    found = progress_of(SPEC, WHOLE)
    assert found.done == found.total == len(WHOLE.runs)
    assert {key: each.done for key, each in found.arms.items()} == Counter(
        (run.workload, run.arm) for run in WHOLE.runs
    )


@pytest.mark.parametrize("workload", LANES)
@pytest.mark.parametrize("arm", ARMS)
def test_confirm_runs_are_planned_again_from_the_same_trial(workload: str, arm: str) -> None:
    confirm = [p for p in WHOLE.packs if (p.workload, p.arm, p.stage) == (workload, arm, Stage.CONFIRM)]
    lost = {pack.number for pack in confirm}
    rest = replace(
        WHOLE,
        packs=tuple(pack for pack in WHOLE.packs if pack.number not in lost),
        runs=tuple(run for run in WHOLE.runs if run.pack not in lost),
    )
    added = plan_next_packs(SPEC, by_arm(rest), SPEEDS, nothing_asked)
    assert [lane for pack in added.packs for lane in pack.lanes] == [lane for pack in confirm for lane in pack.lanes]
    assert {lane.seed for pack in added.packs for lane in pack.lanes} == set(SPEC.confirm_seeds)
    assert {(pack.workload, pack.arm) for pack in added.packs} == {(workload, arm)}


def test_few_long_runs_get_a_compiled_step_of_their_own_width() -> None:
    """One fixed run in a pack for eight; whether it pays depends on the length."""
    wide = (Speed(lanes=8, mode=Mode.COMPILED, seconds=0.8, compile_seconds=6.0),)
    speeds = dict.fromkeys(SPEEDS, wide)

    def lasting(steps: int) -> StudySpec:
        length = {"steps": steps, "search_steps": steps}
        return SPEC.model_copy(update={"workloads": tuple(each.model_copy(update=length) for each in SPEC.workloads)})

    widths = [
        {(len(pack.lanes), pack.width) for pack in plan_next_packs(spec, {}, speeds, rates).packs if pack.arm == "l4"}
        for spec in (lasting(5), lasting(500))
    ]
    assert widths == [{(1, 8)}, {(1, 1)}]
