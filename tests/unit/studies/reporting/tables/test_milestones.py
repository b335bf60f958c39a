from dataclasses import replace

import pytest

from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.tables.milestones import milestone_tables
from studies.reporting.tables.table import Table
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance

SPEC = planted_spec(OUTCOMES, workloads=("bowl",))
ROWS = planted_rows(SPEC, OUTCOMES)


def tables(rows: Rows) -> tuple[Table, ...]:
    report = build_report(SPEC, rows, provenance(SPEC))
    return milestone_tables(report, report.workloads[0], rows)


def test_a_metric_is_stated_at_its_first_point_after_a_third_and_at_the_end() -> None:
    (table,) = tables(ROWS)
    assert table.headings == ("arm", "epoch 0", "epoch 3", "epoch 9")
    assert table.caption.startswith("bowl: test accuracy along the way")
    better = table.rows[1]
    values = [
        series.values[-1]
        for run in ROWS.runs
        if run.arm == "better"
        for series in run.series
        if series.name == "test_accuracy"
    ]
    assert float(better[3].text) == pytest.approx(sum(values) / len(values), rel=1e-3)
    assert better[3].lines == (f"{min(values):.4g} to {max(values):.4g}",)
    assert float(better[1].text) < float(better[2].text) < float(better[3].text)


def test_without_series_there_is_none() -> None:
    assert tables(replace(ROWS, runs=tuple(replace(run, series=()) for run in ROWS.runs))) == ()


def test_an_arm_of_which_all_diverged_has_dashes() -> None:
    arms = OUTCOMES | {"shaky": replace(OUTCOMES["shaky"], diverged_seeds=99)}
    rows = planted_rows(SPEC, arms)
    (table,) = tables(rows)
    assert [cell.text for cell in table.rows[-1]] == ["shaky", "–", "–", "–"]
