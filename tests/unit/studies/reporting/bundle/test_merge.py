from collections.abc import Mapping
from dataclasses import replace

import pytest

from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.bundle.joint import build_joint_report
from studies.reporting.bundle.merge import merge_faults, merge_rows, merge_specs
from studies.spec.definition import Budget
from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec, provenance

FIRST = {name: OUTCOMES[name] for name in ("l4", "better")}
SECOND = {name: OUTCOMES[name] for name in ("l4", "worse", "same")}
BOTH: Mapping[str, Planted] = FIRST | SECOND


def study(arms: Mapping[str, Planted]) -> tuple[StudySpec, Rows]:
    spec = planted_spec(arms)
    return spec, planted_rows(spec, arms)


def changed(spec: StudySpec, **protocol: object) -> StudySpec:
    return spec.model_copy(update={"protocol": spec.protocol.model_copy(update=protocol)})


def test_a_joint_report_is_that_of_a_study_with_all_the_arms() -> None:
    (one, ours), (two, theirs) = study(FIRST), study(SECOND)
    report, _ = build_joint_report([(one, ours, provenance(one, "a")), (two, theirs, provenance(two, "b"))])
    whole, rows = study(BOTH)
    expected = build_report(whole, rows, provenance(whole))
    assert report.workloads == expected.workloads
    assert report.across == expected.across
    assert report.provenance.study_id == "a, b"


def test_an_arm_that_both_have_counts_once_and_packs_keep_apart() -> None:
    (one, ours), (two, theirs) = study(FIRST), study(SECOND)
    rows = merge_rows([(one, ours), (two, theirs)])
    assert [arm.name for arm in merge_specs([one, two]).arms] == ["l4", "better", "worse", "same"]
    assert len({pack.number for pack in rows.packs}) == len(rows.packs)
    assert len([run for run in rows.runs if run.arm == "l4"]) == len([run for run in ours.runs if run.arm == "l4"])
    numbers = {pack.number: pack.arm for pack in rows.packs}
    assert all(numbers[run.pack] == run.arm for run in rows.runs)


def test_the_reference_is_the_first_ones() -> None:
    one, two = planted_spec(FIRST), planted_spec(SECOND, reference="same")
    assert merge_faults({"a": one, "b": two}) == ()
    assert merge_specs([one, two]).protocol.reference == "l4"


SPEC = planted_spec(FIRST)


@pytest.mark.parametrize(
    ("other", "pointer"),
    [
        (changed(SPEC, objective="validation_loss"), "/protocol/objective"),
        (changed(SPEC, search_seeds=3), "/protocol/search_seeds"),
        (changed(SPEC, confirm_seeds=5), "/protocol/confirm_seeds"),
        (changed(SPEC, trials=5), "/protocol/trials"),
        (changed(SPEC, scale=0.5), "/protocol/scale"),
        (changed(SPEC, budget=Budget(seconds=5.0)), "/protocol/budget"),
        (planted_spec(FIRST, workloads=("bowl",)), "/workloads"),
        (
            SPEC.model_copy(
                update={"workloads": (SPEC.workloads[0].model_copy(update={"steps": 7}), SPEC.workloads[1])}
            ),
            "/workloads/bowl/steps",
        ),
        (
            SPEC.model_copy(
                update={"workloads": (SPEC.workloads[0].model_copy(update={"options": {}}), SPEC.workloads[1])}
            ),
            "/workloads/bowl/options",
        ),
        (
            SPEC.model_copy(update={"arms": (SPEC.arms[0].model_copy(update={"fixed": {"alpha": 0.2}}), SPEC.arms[1])}),
            "/arms/l4/fixed",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_by_field_with_both_values(other: StudySpec, pointer: str) -> None:
    (fault,) = merge_faults({"a": SPEC, "b": other})
    assert fault.pointer == pointer
    assert "a has" in fault.detail
    assert "b has" in fault.detail


@pytest.mark.parametrize("budget", [Budget(trials=30), Budget(run_steps=10**6), Budget(seconds=5.0)])
def test_studies_with_a_budget_are_refused_though_it_is_the_same(budget: Budget) -> None:
    one, two = (changed(planted_spec(arms), budget=budget) for arms in (FIRST, SECOND))
    (fault,) = merge_faults({"a": one, "b": two})
    assert fault.pointer == "/protocol/budget"
    assert fault.detail.startswith(f"a has {budget.model_dump(mode='json', exclude_none=True)}, b has {{")


def test_other_versions_or_another_commit_are_warned_of() -> None:
    (one, ours), (two, theirs) = study(FIRST), study(SECOND)
    here, there = provenance(one, "a"), provenance(two, "b")
    assert not any(
        "commit" in each for each in build_joint_report([(one, ours, here), (two, theirs, there)])[0].warnings
    )
    other = there.model_copy(update={"commit": "fedcba9", "versions": {"torch": "2.14.0", "ray": "2.60.0"}})
    report, _ = build_joint_report([(one, ours, here), (two, theirs, other)])
    assert report.warnings[0] == (
        "The studies were not run by the same software, commit: 0123abc or fedcba9; torch: 2.13.0 or 2.14.0; "
        "ray: none or 2.60.0. A difference between arms of two studies may come from that."
    )
    assert report.provenance.versions == {"torch": "2.13.0 or 2.14.0", "ray": "none or 2.60.0"}


def test_every_fault_is_named_at_once_and_lanes_are_none() -> None:
    other = changed(SPEC, trials=5, margin=0.5)
    assert [fault.pointer for fault in merge_faults({"a": SPEC, "b": other})] == [
        "/protocol/trials",
        "/protocol/margin",
    ]
    packed = SPEC.model_copy(update={"workloads": tuple(w.model_copy(update={"lanes": 4}) for w in SPEC.workloads)})
    assert merge_faults({"a": SPEC, "b": packed}) == ()


def test_what_is_missing_in_one_is_missing_in_the_whole() -> None:
    (one, ours), (two, theirs) = study(FIRST), study(SECOND)
    part = replace(theirs, runs=theirs.runs[:3])
    report, _ = build_joint_report([(one, ours, provenance(one)), (two, part, provenance(two))])
    assert not report.complete
