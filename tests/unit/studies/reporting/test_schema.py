"""The published schema is the report's, and reports fit it."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.reporting.report import SCHEMA_VERSION
from studies.reporting.schema import report_schema
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec, provenance

pytestmark = pytest.mark.heavy

PUBLISHED = files("studies.reporting").joinpath("report.schema.json").read_text(encoding="utf-8")
LOST = Planted(log_loss=0.0, best_lr=0.1, diverges_above=0.0, diverged_seeds=99)


def test_the_published_schema_is_that_of_the_report() -> None:
    assert report_schema() == PUBLISHED, "python -m studies.reporting.schema > studies/reporting/report.schema.json"


@pytest.mark.parametrize("arms", [OUTCOMES, {"l4": OUTCOMES["l4"], "lost": LOST}, {"l4": OUTCOMES["l4"]}])
@pytest.mark.parametrize("trained", [True, False])
def test_reports_fit_it(arms: dict[str, Planted], trained: bool) -> None:
    spec = planted_spec(arms)
    rows = planted_rows(spec, arms) if trained else Rows()
    document: dict[str, Any] = json.loads(render(build_report(spec, rows, provenance(spec)), rows)["report.json"])
    jsonschema.validate(document, json.loads(PUBLISHED), cls=jsonschema.Draft202012Validator)
    assert document["schema_version"] == SCHEMA_VERSION


def test_what_is_no_report_does_not() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema_version": SCHEMA_VERSION}, json.loads(PUBLISHED))
