"""Tables of what tuning cost and bought."""

from dataclasses import replace

from studies.reporting.builder import build_report
from studies.reporting.report import Report
from studies.reporting.tables.aggregate import aggregate_table
from studies.reporting.tables.tuning import steps_to_target_table, tuning_table
from studies.spec.parameters import Stage
from tests.support.planted_studies import Planted, planted_rows, planted_spec, provenance

ARMS = {"l4": Planted(log_loss=-2.0), "adam": Planted(log_loss=-4.0, best_lr=0.1)}


def reported(kept: int) -> Report:
    """A report in which l4 has so many of its 12 confirm runs on the first workload."""
    spec = planted_spec(ARMS)
    rows = planted_rows(spec, ARMS)
    own = [run for run in rows.runs if (run.workload, run.arm, run.stage) == ("bowl", "l4", Stage.CONFIRM)]
    runs = tuple(run for run in rows.runs if run not in own[kept:])
    return build_report(spec, replace(rows, runs=runs), provenance(spec))


def test_an_arm_that_never_gets_there_is_told_from_one_whose_runs_are_not_all_done() -> None:
    found = [
        (speed.rows[0][2].text, across.rows[0][1].text)
        for report in (reported(12), reported(5))
        if (speed := steps_to_target_table(report.workloads[0])) and (across := aggregate_table(report))
    ]
    assert found == [("never", "never"), ("–", "–")]


def test_what_only_an_extended_range_found_is_told_from_what_was_never_found() -> None:
    arms = {
        "l4": Planted(log_loss=-1.5, spread=0.01),
        "far": Planted(log_loss=-2.0, best_lr=10.0, diverges_above=1e3, spread=0.01),
        "worse": Planted(log_loss=-1.0, best_lr=0.1, spread=0.01),
        "better": Planted(log_loss=-3.0, best_lr=0.1, spread=0.01),
    }
    spec = planted_spec(arms, workloads=("bowl",))
    report = build_report(spec, planted_rows(spec, arms), provenance(spec))
    table = tuning_table(report, report.workloads[0])
    assert [row[7].text for row in table.rows] == [
        "–",
        "only after its range was extended",
        "not within this search",
        "2",
    ]
