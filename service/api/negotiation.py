"""Content negotiation by the Accept header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from email.message import Message


def preferred_media_type(accept: str, offered: Sequence[str]) -> str | None:
    """Return the offered media type that an Accept header prefers, the first of equals; None if none is acceptable.

    Args:
        accept: The header's value; an empty one accepts everything.
        offered: Media types without parameters, in the server's order of preference.
    """
    ranges = [_parse_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    qualities = {media_type: _quality(media_type, ranges) for media_type in offered}
    best = max(offered, key=lambda media_type: qualities[media_type])
    return best if qualities[best] > 0 else None


def _parse_range(part: str) -> tuple[str, float]:
    message = Message()
    message["content-type"] = part.strip()
    name = part.split(";")[0].strip().lower()
    try:
        quality = float(str(message.get_param("q", "1")))
    except ValueError:
        quality = 0.0
    return name, quality if 0 <= quality <= 1 else 0.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality by the most specific matching range."""
    by_name = dict(ranges)
    main_type = media_type.split("/")[0]
    matching = [name for name in (media_type, f"{main_type}/*", "*/*") if name in by_name]
    return by_name[matching[0]] if matching else 0.0
