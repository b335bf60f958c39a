"""The report in the terminal."""

from io import StringIO

import pytest
from rich.console import Console

from service.cli.report_table import report_tables
from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.report import Report
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance


@pytest.fixture(scope="module")
def report() -> Report:
    spec = planted_spec(OUTCOMES)
    return build_report(spec, planted_rows(spec, OUTCOMES), provenance(spec))


def _shown(report: Report, width: int) -> str:
    file = StringIO()
    Console(file=file, width=width).print(report_tables(report, width))
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_every_arm_has_its_row_with_the_finding(report: Report, width: int) -> None:
    shown = _shown(report, width)
    arms = [arm for workload in report.workloads for arm in workload.arms]
    rows = [line for line in shown.splitlines() if line.startswith(" ") and line.split()[0] in OUTCOMES]
    for arm, row in zip(arms, rows, strict=True):
        assert row.split()[0] == arm.arm
        assert arm.objective is not None
        assert f"{arm.objective.center:.3g}" in row
        assert f"{arm.search.diverged} of {len(arm.search.trials)}" in row
        assert ("reference" if arm.comparison is None else arm.comparison.verdict) in row
    assert shown.startswith("l4, untuned, got to where")
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width


def test_verdicts_and_warnings_are_sentences_below(report: Report) -> None:
    shown = " ".join(_shown(report, 120).split())
    for sentence in (*(workload.verdict for workload in report.workloads), *report.warnings):
        assert sentence in shown


def test_an_unfinished_study_has_a_table_too() -> None:
    spec = planted_spec(OUTCOMES)
    rows = planted_rows(spec, OUTCOMES)
    rows = Rows(trials=rows.trials[:3], packs=rows.packs[:1], runs=rows.runs[:1])
    shown = _shown(build_report(spec, rows, provenance(spec)), 120)
    assert "not chosen" in shown
    assert "incomplete" in shown
