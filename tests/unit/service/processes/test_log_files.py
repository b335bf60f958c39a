"""Reading and formatting of log files."""

import json
from pathlib import Path

import pytest

from service.processes.log_files import format_line, last_lines, read_from, read_pack_lines


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
    assert read_from(log, 0, 5) == ([], 0)
    log.write_text("one\ntwo\nthr")
    lines, at = read_from(log, 0, 1)
    assert lines == ["two\n"]
    assert read_from(log, at, None) == ([], at)
    with log.open("a") as opened:
        opened.write("ee\nfour\n")
    lines, at = read_from(log, at, None)
    assert lines == ["three\n", "four\n"]
    assert read_from(log, 0, 0) == ([], at)


def test_lines_of_a_pack_are_those_with_its_number(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    assert read_pack_lines(log, 1, 5) == []
    first, second = line("a", pack=1), line("b", pack=1)
    log.write_text(first + line("c", pack=11) + line('about "pack": 1') + '{"pack": 1}\n' + second + line("d"))
    assert read_pack_lines(log, 1, 5) == [first, second]
    assert read_pack_lines(log, 1, 1) == [second]
