"""Reads JSON log files: the last lines, new lines, the lines of one pack, formatted for people."""

import collections
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

#: Bytes that are read of a log at a time, from an offset on; a line that has begun is read to its end.
MAX_BYTES = 1_000_000


class LogLine(BaseModel):
    """A log line in the format of `service.processes.json_logging`.

    Args:
        time: When.
        level: The level's name.
        logger: The logger's name.
        message: The message.
        exception: The traceback; may be empty.
        pack: The pack that the line is about, if any.
    """

    time: datetime
    level: str
    logger: str
    message: str
    exception: str = ""
    pack: int | None = None

    @property
    def text(self) -> str:
        """The line formatted for people; several lines if it has a traceback."""
        line = f"{self.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC {self.level} {self.logger}: {self.message}"
        return f"{line}\n{self.exception}" if self.exception else line


def parse_line(line: str) -> LogLine | None:
    """Parse a line of a log; return None if it has another format.

    Args:
        line: With or without the newline.
    """
    try:
        return LogLine.model_validate_json(line)
    except ValidationError:
        return None


def format_line(line: str) -> str:
    """Format a line of a log for people; lines in other formats are returned unchanged.

    Args:
        line: With or without the newline.
    """
    parsed = parse_line(line)
    return line.rstrip("\n") if parsed is None else parsed.text


@dataclass(frozen=True, kw_only=True)
class NewLines:
    """Complete lines of a log.

    Args:
        lines: The lines.
        end: The offset after them, in bytes.
        more: Whether further lines were there.
    """

    lines: tuple[str, ...]
    end: int
    more: bool = False


def read_from(log: Path, offset: int) -> NewLines:
    """Return the lines of a log after an offset; no lines if there is no log yet.

    Args:
        log: The file; other processes may append to it.
        offset: The offset, in bytes; after one beyond the log's end there are no lines.
    """
    return _read(log, offset, None, MAX_BYTES)


def read_last(log: Path, limit: int) -> NewLines:
    """Return the last lines of a log; no lines if there is no log yet.

    Args:
        log: The file; other processes may append to it.
        limit: The maximum number of lines.
    """
    return _read(log, 0, limit, sys.maxsize)


def _read(log: Path, offset: int, limit: int | None, max_bytes: int) -> NewLines:
    try:
        lines = log.open("rb")
    except FileNotFoundError:
        return NewLines(lines=(), end=offset)
    last, end, more = collections.deque[bytes](maxlen=limit), offset, False
    with lines:
        if offset > os.fstat(lines.fileno()).st_size:
            return NewLines(lines=(), end=offset)
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            if end - offset >= max_bytes:
                more = True
                break
            last.append(line)
            end += len(line)
    return NewLines(lines=tuple(line.decode(errors="replace") for line in last), end=end, more=more)


def read_pack_lines(log: Path, pack: int, limit: int) -> list[str]:
    """Return the lines of a log that are about a pack; empty if there is no log yet.

    Args:
        log: The file.
        pack: The pack's number.
        limit: Return only so many lines from the end.
    """
    try:
        lines = log.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    with lines:
        # the text search avoids parsing the lines of other packs
        pack_lines = (line for line in lines if f'"pack": {pack}' in line and _pack_of_line(line) == pack)
        return list(collections.deque(pack_lines, maxlen=limit))


def _pack_of_line(line: str) -> int | None:
    parsed = parse_line(line)
    return None if parsed is None else parsed.pack


def last_lines(log: Path, count: int = 15) -> str:
    """Return the last lines of a log, formatted for people.

    Args:
        log: The file.
        count: Maximum number of lines.
    """
    with log.open(encoding="utf-8", errors="replace") as lines:
        last = collections.deque(lines, maxlen=count)
    text = "\n".join(format_line(line) for line in last)
    return "\n".join(text.rstrip().splitlines()[-count:])
