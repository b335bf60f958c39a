"""Which of the offered media types an Accept header prefers (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from email.message import Message


def preferred_media_type(accept: str, offered: Sequence[str]) -> str | None:
    """Return the offered media type that is accepted best, the first one of several; None where none is.

    Args:
        accept: The header's value; empty for no header, which accepts all.
        offered: Media types without parameters, the best first.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    qualities = {media_type: _quality(media_type, ranges) for media_type in offered}
    best = max(offered, key=lambda media_type: qualities[media_type])
    return best if qualities[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    parsed = Message()
    parsed["content-type"] = part.strip()
    name = part.split(";")[0].strip().lower()
    try:
        quality = float(str(parsed.get_param("q", "1")))
    except ValueError:
        quality = 0.0
    return name, quality if 0 <= quality <= 1 else 0.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality given by the most specific range that matches."""
    by_name = dict(ranges)
    kind = media_type.split("/")[0]
    matching = [name for name in (media_type, f"{kind}/*", "*/*") if name in by_name]
    return by_name[matching[0]] if matching else 0.0
