"""The JSON schema of the report, as `studies/report.schema.json` publishes it.

`python -m studies.reporting.schema > studies/report.schema.json` writes it; a test fails where the report differs.
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
