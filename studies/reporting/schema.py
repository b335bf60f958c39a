"""The report's JSON schema, published as `report.schema.json` beside this module.

`python -m studies.reporting.schema > studies/reporting/report.schema.json` writes it. A test fails if it is stale.
"""

import json
import sys

from studies.reporting.report import Report


def report_schema() -> str:
    """Return the schema (JSON Schema, draft 2020-12) as text."""
    schema = Report.model_json_schema(mode="serialization")
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(named, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(report_schema())
