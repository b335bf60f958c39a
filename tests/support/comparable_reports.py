"""Reports without what differs between two studies of the same spec."""

import json
import re


def blanked(report: bytes) -> bytes:
    """Return a report without its ids, machines, times and durations, those that were estimated among them.

    Args:
        report: As JSON.
    """
    found = json.loads(report)
    provenance = found["provenance"]
    for key in ("estimate", "elapsed_seconds", "hosts", "mixed"):
        del provenance[key]
    text = json.dumps(found, indent=2, ensure_ascii=False)
    for key in ("study_id", "started_at", "ended_at"):
        text = text.replace(provenance[key], "-")
    return re.sub(r'"seconds":\s*[0-9.e+-]+', '"seconds":-', text).encode()
