"""The report for spreadsheets."""

import csv
import io
from dataclasses import replace

from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.formats.csv import render_csv
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.support.planted_studies import Planted, planted_rows, planted_spec, provenance

ARMS = {
    "l4": Planted(log_loss=-3.0, spread=0.01),
    "better": Planted(log_loss=-4.0, best_lr=0.1, spread=0.01),
    "worse": Planted(log_loss=-2.0, best_lr=0.1, spread=0.01),
}
NAMES = ("break_even_trials", "steps_to_target", "seeds_at_target")


def told(spec: StudySpec, rows: Rows) -> dict[str, list[str]]:
    """What is told of each arm under those names."""
    table = csv.DictReader(io.StringIO(render_csv(build_report(spec, rows, provenance(spec)))))
    return {row["arm"]: [row[name] for name in NAMES] for row in table}


def test_what_never_happens_is_told_from_what_does_not_exist() -> None:
    spec = planted_spec(ARMS, workloads=("bowl",))
    rows = planted_rows(spec, ARMS)
    found = told(spec, rows)
    assert found["l4"] == ["", "inf", "0"]
    assert found["worse"] == ["inf", "inf", "0"]
    assert (found["better"][0], found["better"][2]) == ("2", "7")
    untrained = tuple(run for run in rows.runs if run.arm != "l4" or run.stage is Stage.SEARCH)
    assert told(spec, replace(rows, runs=untrained))["l4"] == ["", "", ""]
