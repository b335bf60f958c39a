"""What Linux says of the processor."""

from functools import cache
from pathlib import Path


@cache
def described(field: str, file: Path = Path("/proc/cpuinfo")) -> str:
    """Return a field of the first core's description, empty where there is no such thing.

    Args:
        field: As Linux names it: `vendor_id`, `model name`.
        file: Where Linux describes all cores.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")
