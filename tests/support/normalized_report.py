"""Reports without what differs between two studies of the same spec."""

import json
import re


def normalize_report(report: bytes) -> bytes:
    """Return a report without its ids, machines, times, durations and estimate.

    Args:
        report: As JSON.
    """
    document = json.loads(report)
    provenance = document["provenance"]
    for key in ("estimate", "elapsed_seconds", "hosts", "mixed"):
        del provenance[key]
    text = json.dumps(document, indent=2, ensure_ascii=False)
    for key in ("study_id", "started_at", "ended_at"):
        text = text.replace(provenance[key], "-")
    return re.sub(r'"seconds":\s*[0-9.e+-]+', '"seconds":-', text).encode()
