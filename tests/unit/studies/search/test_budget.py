"""What a budget leaves: from the spec alone, and as a whole study spends it."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studies.records.rows import Lane, Pack, Rows, by_arm
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from studies.search.budget import exceeded_budgets, faults, max_trials, round_robin, trials_per_search, warnings
from studies.search.selection import replay_search
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from studies.validation.faults import InvalidStudyError
from studies.validation.resolver import resolve
from tests.support.planted_studies import provenance
from tests.support.progress import progress_of
from tests.support.simulated_driver import build_spec, drive_to_end, driver, open_study, run_packs

pytestmark = pytest.mark.heavy

#: Two workloads, one fixed arm and two searched ones; 40 and 100 steps, 4 confirm seeds.
CONFIRM_STEPS = 3 * 4 * (40 + 100)


def spent(spec: StudySpec, rows: Rows) -> tuple[int, int]:
    lengths = {workload.name: workload for workload in spec.workloads}
    return len(rows.trials), sum(lengths[run.workload].length(run.stage) for run in rows.runs)


def trials_of(rows: Rows) -> Counter[tuple[str, str]]:
    return Counter((trial.workload, trial.arm) for trial in rows.trials)


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        ({"trials": 2 + 4 * 3}, 3),
        ({"trials": 2 + 4 * 3 + 3}, 3),  # the same for all, so that three are left over
        ({"trials": 2 + 4 * 10}, 10),
        ({"trials": 10**9}, 10),  # 6 trials and two extensions of 2: more there cannot be
        ({"run_steps": CONFIRM_STEPS + (1 + 2 * 5) * (40 + 100)}, 5),
        ({"run_steps": CONFIRM_STEPS + (1 + 2 * 5) * (40 + 100) - 1}, 4),
        ({"trials": 2 + 4 * 3, "run_steps": 10**9}, 3),
        ({"seconds": 1.0}, None),
        ({"gpu_hours": 1.0}, None),
    ],
)
def test_every_search_may_have_as_many_trials(budget: dict[str, Any], left: int | None) -> None:
    assert trials_per_search(build_spec(budget)) == left


def test_without_a_budget_nothing_changes() -> None:
    spec = build_spec()
    assert (
        trials_per_search(spec),
        faults(spec),
        warnings(spec),
        exceeded_budgets(spec, seconds=1e9, gpu_hours=1e9),
    ) == (None, {}, (), ())
    assert [max_trials(spec, arm) for arm in spec.arms] == [1, 10, 10]


@pytest.mark.parametrize(
    ("budget", "sampler", "field", "least"),
    [
        ({"trials": 5}, "random", "trials", 6),
        ({"trials": 9}, "grid", "trials", 2 + 4 * 2),  # a grid has two ends
        ({"run_steps": 1}, "tpe", "run_steps", CONFIRM_STEPS + 3 * (40 + 100)),
    ],
)
def test_a_budget_that_suffices_for_no_study_is_refused(
    budget: dict[str, Any], sampler: str, field: str, least: int
) -> None:
    with pytest.raises(InvalidStudyError) as refused:
        build_spec(budget, sampler=sampler)
    (fault,) = refused.value.faults
    assert fault.pointer == f"/protocol/budget/{field}"
    assert str(least) in fault.detail
    assert faults(build_spec({field: least}, sampler=sampler)) == {}


@pytest.mark.parametrize(
    ("budget", "place"),
    [
        ({}, ""),
        ({"trials": None}, ""),
        ({"trials": 0}, "/trials"),
        ({"trials": 2.5}, "/trials"),
        ({"run_steps": "many"}, "/run_steps"),
        ({"seconds": 0}, "/seconds"),
        ({"seconds": True}, "/seconds"),
        ({"gpu_hours": -1.0}, "/gpu_hours"),
        ({"hours": 1}, "/hours"),
        (5, ""),
    ],
)
def test_a_faulty_budget_is_named(budget: object, place: str) -> None:
    body = {"name": "b", "workloads": [{"name": "digits_mlp"}], "arms": [{"name": "l4mom"}]}
    with pytest.raises(InvalidStudyError) as refused:
        resolve(body | {"protocol": {"budget": budget}}, build_catalogue())
    assert {fault.pointer for fault in refused.value.faults} == {f"/protocol/budget{place}"}


def test_the_hash_has_the_budget_in_it_and_is_as_before_without_one() -> None:
    specs = [build_spec(each) for each in (None, {"trials": 20}, {"trials": 21}, {"seconds": 20.0})]
    assert len({spec.content_hash for spec in specs}) == len(specs)
    # of the version before there were budgets
    assert specs[0].content_hash == "ecf5291807d6cc0c70d4d603fd421cff6075e5a9bfbb64653efc2869817a3186"


def test_a_budget_is_not_scaled() -> None:
    assert build_spec({"trials": 20}, scale=0.5).protocol.budget == build_spec({"trials": 20}).protocol.budget


def test_what_the_budget_leaves_is_a_warning() -> None:
    assert warnings(build_spec({"trials": 2 + 4 * 3})) == ("the budget leaves each search 3 of 6 trials",)
    assert warnings(build_spec({"trials": 2 + 4 * 6})) == ()
    (grid,) = warnings(build_spec({"seconds": 5.0}, sampler="grid"))
    assert "from its low end" in grid
    assert exceeded_budgets(build_spec({"seconds": 5.0}), seconds=60.0, gpu_hours=1.0) == (
        "the estimate, 60 seconds, is beyond the budget, 5: searches would be cut",
    )


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
@pytest.mark.parametrize(
    "budget", [{"trials": 2 + 4 * 4}, {"run_steps": CONFIRM_STEPS + (1 + 2 * 7) * (40 + 100)}, {"trials": 2 + 4 * 2}]
)
def test_a_study_keeps_to_its_budget_and_confirms_every_arm(
    budget: dict[str, int], sampler: str, tmp_path: Path
) -> None:
    spec = build_spec(budget, sampler=sampler)
    rows = drive_to_end(spec, tmp_path)
    trials, run_steps = spent(spec, rows)
    left = trials_per_search(spec)
    assert left is not None
    assert trials <= budget.get("trials", trials)
    assert run_steps <= budget.get("run_steps", run_steps)
    assert max(trials_of(rows).values()) <= left
    confirmed = Counter((run.workload, run.arm) for run in rows.runs if run.stage is Stage.CONFIRM)
    assert confirmed == dict.fromkeys(spec.pairs, 4)

    found = progress_of(spec, rows)
    assert found.done == found.total == len(rows.runs)
    cut = {key for key, each in found.searches.items() if each.truncated}
    if sampler == "grid":
        assert {key for key in spec.pairs if key[1] == "sgd"} <= cut  # its best rate lies beyond its range
    report = build_report(spec, rows, provenance(spec))
    assert report.complete == (not cut)
    assert (report.warnings[0] == report.cut_short) == bool(cut)
    for workload, arm in cut:
        asked = found.searches[workload, arm].requested_trials
        done = trials_of(rows)[workload, arm]
        assert f"{arm} on {workload} {done} of {asked}" in report.cut_short
        text = f"{workload}, {arm}: its search was cut by the budget after {done} of {asked} trials"
        assert any(each.startswith(text) for each in report.warnings)
    for part in report.workloads:
        own = {arm for name, arm in cut if name == part.workload}
        assert {arm.arm for arm in part.arms if arm.search.cut} == own
        assert ("not fully tuned" in part.verdict) == bool(own)


def test_a_grid_that_is_cut_spans_its_range_in_wider_steps(tmp_path: Path) -> None:
    spec = build_spec({"trials": 2 + 4 * 3}, sampler="grid")
    own = by_arm(drive_to_end(spec, tmp_path))["digits_mlp", "adam"]
    assert [trial.setting["lr"] for trial in own.trials] == [1e-3, 1e-2, 1e-1]
    found = replay_search(spec, own, "digits_mlp", "adam")
    assert (found.done, found.is_interior, found.requested_trials, found.truncated) == (True, True, 6, True)


def test_a_budget_that_is_not_reached_changes_no_number_of_runs(tmp_path: Path) -> None:
    spec = build_spec({"trials": 2 + 4 * 10, "run_steps": 10**9}, sampler="grid")
    rows = drive_to_end(spec, tmp_path)
    assert trials_of(rows)["digits_mlp", "sgd"] == 10
    report = build_report(spec, rows, provenance(spec))
    assert (report.cut_short, report.complete) == ("", True)


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), sampler=st.sampled_from(["random", "tpe", "grid"]))
def test_restarts_and_the_order_of_packs_change_nothing(
    data: st.DataObject, sampler: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spec = build_spec({"trials": 2 + 4 * 7, "run_steps": CONFIRM_STEPS + (1 + 2 * 8) * (40 + 100)}, sampler=sampler)
    whole = drive_to_end(spec, tmp_path_factory.mktemp("whole"))
    folder = tmp_path_factory.mktemp("restarted")
    _, ledger = open_study(folder, spec)
    order = Random(data.draw(st.integers(0, 2**32)))
    for packs in data.draw(st.lists(st.integers(0, 12), max_size=4)):
        run_packs(driver(spec, ledger, folder), packs=packs, order=order)  # what is in training then is lost
    run_packs(driver(spec, ledger, folder), order=order)
    rows = ledger.rows()
    assert rows.trials == whole.trials
    assert results(rows) == results(whole)


def results(rows: Rows) -> set[tuple[object, ...]]:
    return {(run.workload, run.arm, run.stage, run.trial, run.seed, run.train_loss, run.steps) for run in rows.runs}


def test_packs_in_turn_begin_with_one_of_each() -> None:
    def packs(*arms: str) -> list[Pack]:
        return [
            Pack(number=i, workload="w", arm=arm, stage=Stage.SEARCH, batch=0, lanes=(Lane(trial=i, seed=0),))
            for i, arm in enumerate(arms)
        ]

    assert [(each.arm, each.number) for each in round_robin(packs("a", "a", "a", "b", "c", "b"))] == [
        ("a", 0),
        ("b", 3),
        ("c", 4),
        ("a", 1),
        ("b", 5),
        ("a", 2),
    ]
