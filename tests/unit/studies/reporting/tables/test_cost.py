"""What a study took, beside what it was estimated to take, in every form that people read."""

from dataclasses import replace

import pytest

from studies.planning.estimate import ArmSpeeds, Basis, estimate
from studies.planning.throughput import Speed
from studies.records.rows import Mode, Rows
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.reporting.report import Report
from studies.reporting.tables.cost import cost_table
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance

pytestmark = pytest.mark.heavy

ARMS = {name: OUTCOMES[name] for name in ("l4", "better")}
SPEC = planted_spec(ARMS, workloads=("bowl",))
PACE = ArmSpeeds(speeds=(Speed(lanes=8, mode=Mode.EAGER, seconds=0.8),), basis=Basis.GUESS, source="a guess")
ESTIMATE = estimate(SPEC, dict.fromkeys(SPEC.pairs, PACE))
ROWS = planted_rows(SPEC, ARMS)


def reported(rows: Rows = ROWS, *, estimated: bool = True) -> Report:
    where = provenance(SPEC).model_copy(update={"estimate": ESTIMATE if estimated else None, "elapsed_seconds": 7500.0})
    return build_report(SPEC, rows, where)


def test_what_was_spent_is_beside_the_estimate() -> None:
    table = cost_table(reported())
    assert table is not None
    l4, better, together = [[cell.text for cell in row] for row in table.rows]
    assert l4[:3] == ["l4 on bowl", "13 (estimated 13)", "2,600 (estimated 2,600)"]
    assert better[:3] == ["better on bowl", "21 (estimated 21)", "4,100 (estimated 4,200)"]  # one diverged half way
    assert (l4[4:], better[4:]) == (["", "guess"], ["", "guess"])
    assert together[:3] == ["all", "34 (estimated 34)", "6,700 (estimated 6,800)"]
    # two packs of each stage, but for the single run of the fixed arm
    assert together[3].startswith("10.5 s (estimated ")
    assert together[4].startswith("2.1 h (estimated ")
    assert {len(row) for row in table.rows} == {len(table.headings)}


def test_json_has_both(report: Report) -> None:
    again = Report.model_validate_json(report.model_dump_json())
    assert again.provenance.estimate == ESTIMATE
    (workload,) = again.workloads
    for arm, estimated in zip(workload.arms, ESTIMATE.arms, strict=True):
        assert arm.spent.search_runs == estimated.expected.search_runs
        assert arm.spent.confirm_runs == estimated.expected.confirm_runs
    assert sum(arm.spent.run_steps for arm in workload.arms) == sum(run.steps for run in ROWS.runs)


@pytest.fixture
def report() -> Report:
    """The report of a whole study that was estimated."""
    return reported()


def test_people_see_it(report: Report) -> None:
    files = render(report, replace(ROWS, runs=tuple(replace(run, series=()) for run in ROWS.runs)))
    for name in ("report.md", "report.html"):
        text = files[name].decode()
        assert "Taken and estimated" in text
        assert "34 (estimated 34)" in text
        assert "lane_seconds" not in text


def test_without_an_estimate_nothing_is_said() -> None:
    report = reported(estimated=False)
    assert cost_table(report) is None
    assert "estimated" not in render(report, replace(ROWS, runs=()))["report.md"].decode()
