"""Reads JSON log files: the last lines, new lines, the lines of one pack, formatted for people."""

import collections
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError


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


def read_from(log: Path, offset: int, limit: int | None) -> tuple[list[str], int]:
    """Return the complete lines of a log after an offset, and the offset after them; no lines if there is no log yet.

    Args:
        log: The file; other processes may append to it.
        offset: The offset, in bytes; after one beyond the log's end there are no lines.
        limit: Return only so many lines from the end; None for all.
    """
    try:
        lines = log.open("rb")
    except FileNotFoundError:
        return [], offset
    last, end = collections.deque[bytes](maxlen=limit), offset
    with lines:
        if offset > os.fstat(lines.fileno()).st_size:
            return [], offset
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            last.append(line)
            end += len(line)
    return [line.decode(errors="replace") for line in last], end


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
