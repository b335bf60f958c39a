"""Reading logs: the last lines of a file, those of one pack, in words for people."""

import collections
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError


class LogLine(BaseModel):
    """A line as `service.processes.json_logging` has it written; lines of other programs are none.

    Args:
        time: When (UTC).
        level: How bad it is.
        logger: Which part of the program said so.
        message: What happened.
        exception: The traceback, empty where there is none.
        pack: The pack it is about, None where it is about none.
    """

    time: datetime
    level: str
    logger: str
    message: str
    exception: str = ""
    pack: int | None = None

    @property
    def text(self) -> str:
        """The line for people; several lines where it has a traceback."""
        line = f"{self.time:%Y-%m-%d %H:%M:%S} {self.level} {self.logger}: {self.message}"
        return f"{line}\n{self.exception}" if self.exception else line


def parse_line(line: str) -> LogLine | None:
    """Return what a line of a log says, None where it is another program's.

    Args:
        line: With or without its end.
    """
    try:
        return LogLine.model_validate_json(line)
    except ValidationError:
        return None


def format_line(line: str) -> str:
    """Return a line of a log for people, those of other programs as they are.

    Args:
        line: With or without its end.
    """
    parsed = parse_line(line)
    return line.rstrip("\n") if parsed is None else parsed.text


def read_from(log: Path, offset: int, limit: int | None) -> tuple[list[str], int]:
    """Return the whole lines of a log after a place, and the place after them; nothing where there is no log yet.

    Args:
        log: The file; it may be written to meanwhile.
        offset: The place, in bytes.
        limit: How many lines from the end; None for all.
    """
    try:
        lines = log.open("rb")
    except FileNotFoundError:
        return [], offset
    last, end = collections.deque[bytes](maxlen=limit), offset
    with lines:
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            last.append(line)
            end += len(line)
    return [line.decode(errors="replace") for line in last], end


def read_pack_lines(log: Path, pack: int, limit: int) -> list[str]:
    """Return the lines of a log that are about a pack; none where there is no log yet.

    Args:
        log: The file.
        pack: The pack's number.
        limit: How many lines from the end.
    """
    try:
        lines = log.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    with lines:
        # most lines are of other packs, and need not be parsed for that
        pack_lines = (line for line in lines if f'"pack": {pack}' in line and _pack_of_line(line) == pack)
        return list(collections.deque(pack_lines, maxlen=limit))


def _pack_of_line(line: str) -> int | None:
    parsed = parse_line(line)
    return None if parsed is None else parsed.pack


def last_lines(log: Path, count: int = 15) -> str:
    """Return the last lines of a log, in words.

    Args:
        log: The file.
        count: How many lines.
    """
    with log.open(encoding="utf-8", errors="replace") as lines:
        last = collections.deque(lines, maxlen=count)
    text = "\n".join(format_line(line) for line in last)
    return "\n".join(text.rstrip().splitlines()[-count:])
