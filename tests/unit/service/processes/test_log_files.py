"""Reading and formatting of log files."""

import json
from pathlib import Path

import pytest

from service.processes.log_files import (
    MAX_BYTES,
    NewLines,
    format_line,
    last_lines,
    read_from,
    read_last,
    read_pack_lines,
)


def line(message: str, **fields: object) -> str:
    defaults = {"level": "INFO", "logger": "some.part", "message": message, "time": "2026-01-02T03:04:05.678901+00:00"}
    return json.dumps(defaults | fields) + "\n"


def test_last_lines_are_the_last(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text("".join(f"line {i}\n" for i in range(100)))
    assert last_lines(log, 2) == "line 98\nline 99"


def test_last_lines_are_words_and_the_last_of_a_traceback_is_the_last(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text(line("begun") + "not ours\n" + line("ended", exception='Traceback\n  File "x"\nValueError: no data'))
    assert last_lines(log).splitlines() == [
        "2026-01-02 03:04:05 UTC INFO some.part: begun",
        "not ours",
        "2026-01-02 03:04:05 UTC INFO some.part: ended",
        "Traceback",
        '  File "x"',
        "ValueError: no data",
    ]
    assert last_lines(log, 1) == "ValueError: no data"


@pytest.mark.parametrize("other", ["", "plain", "[1, 2]", '{"message": "of another program"}', "17", "{"])
def test_lines_of_other_programs_stay_as_they_are(other: str) -> None:
    assert format_line(other + "\n") == other


def test_a_log_is_read_on_line_by_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    assert read_last(log, 5) == read_from(log, 0) == NewLines(lines=(), end=0)
    log.write_text("one\ntwo\nthr")
    assert read_last(log, 1) == NewLines(lines=("two\n",), end=8)
    assert read_from(log, 8) == NewLines(lines=(), end=8)
    with log.open("a") as opened:
        opened.write("ee\nfour\n")
    assert read_from(log, 8) == NewLines(lines=("three\n", "four\n"), end=19)
    assert read_last(log, 0) == read_from(log, 19) == NewLines(lines=(), end=19)
    assert read_from(log, 20) == NewLines(lines=(), end=20)


def test_a_long_log_is_read_in_parts(tmp_path: Path) -> None:
    log, line = tmp_path / "some.log", "x" * 99 + "\n"
    log.write_text(line * (2 * MAX_BYTES // 100 + 1))
    first = read_from(log, 0)
    assert (len(first.lines), first.end, first.more) == (MAX_BYTES // 100, MAX_BYTES, True)
    second = read_from(log, first.end)
    assert (second.end, second.more) == (2 * MAX_BYTES, True)
    assert read_from(log, second.end) == NewLines(lines=(line,), end=2 * MAX_BYTES + 100)
    assert len(read_last(log, 20_000).lines) == 20_000, "the last lines are counted, however long"


def test_lines_of_a_pack_are_those_with_its_number(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    assert read_pack_lines(log, 1, 5) == []
    first, second = line("a", pack=1), line("b", pack=1)
    log.write_text(first + line("c", pack=11) + line('about "pack": 1') + '{"pack": 1}\n' + second + line("d"))
    assert read_pack_lines(log, 1, 5) == [first, second]
    assert read_pack_lines(log, 1, 1) == [second]
