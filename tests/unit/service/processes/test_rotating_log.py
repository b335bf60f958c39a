"""Logs that rotate: no line is lost or torn, and a full disk stops nobody."""

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from service.processes import rotating_log
from service.processes.child_process import ChildProcess, ProcessSpec
from service.processes.log_files import parse_line
from service.processes.rotating_log import RotatingLog
from tests.support.services.small_disk import SmallDisk


def written(file: Path) -> list[str]:
    """Return the lines of a log and its older files, the oldest first."""
    numbered = sorted(file.parent.glob(f"{file.name}.*"), key=lambda each: -int(each.suffix[1:]))
    return [line for each in (*numbered, file) for line in each.read_text().splitlines(keepends=True)]


def test_no_line_is_lost_or_torn_where_it_rotates(tmp_path: Path) -> None:
    file = tmp_path / "some.log"
    log = RotatingLog(file, max_bytes=1000, max_backups=100)
    lines = [f"{number} {'x' * (number % 50)}\n" for number in range(1000)]
    text = "".join(lines).encode()
    for start in range(0, len(text), 77):  # chunks end within lines
        log.write(text[start : start + 77])
    assert written(file) == lines
    files = list(tmp_path.iterdir())
    assert len(files) > 10
    assert all(each.stat().st_size < 1000 + 77 + 60 for each in files)


def test_so_many_older_files_are_kept_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "some.log"
    log = RotatingLog(file, max_bytes=100, max_backups=2)
    for number in range(100):
        log.write(f"{number:049d}\n".encode())
    assert {each.name for each in tmp_path.iterdir()} == {"some.log", "some.log.1", "some.log.2"}
    assert [int(line) for line in written(file)] == list(range(100 - len(written(file)), 100))


def test_writers_of_one_file_rotate_it_once(tmp_path: Path) -> None:
    file = tmp_path / "some.log"

    def write(name: str) -> None:
        log = RotatingLog(file, max_bytes=2000, max_backups=1000)
        for number in range(500):
            log.write(f"{name} {number}\n".encode())

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = written(file)
    assert sorted(lines) == sorted(f"{name} {number}\n" for name in "abcd" for number in range(500))


def test_a_log_that_was_removed_is_begun_again_when_it_would_rotate(tmp_path: Path) -> None:
    file = tmp_path / "some.log"
    log = RotatingLog(file, max_bytes=10, max_backups=1)
    log.write(b"0123456789\n")
    file.unlink()
    log.write(b"a\nb\n")
    assert file.read_text() == "b\n"


@pytest.mark.heavy
def test_the_output_of_a_child_process_rotates(tmp_path: Path) -> None:
    script = "import sys\nfor n in range(400_000): print(n, 'x' * 50)\nprint('the end', file=sys.stderr)"
    child = ChildProcess(
        ProcessSpec(
            name="writer",
            arguments=(sys.executable, "-c", script),
            environment=dict(os.environ),
            log=tmp_path / "logs" / "writer.log",
        )
    )
    deadline = time.monotonic() + 60
    while child.exit_status is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.wait()
    lines = written(child.spec.log)
    assert [int(line.split()[0]) for line in lines[:-1]] == list(range(400_000))
    assert lines[-1] == "the end\n"
    assert (tmp_path / "logs" / "writer.log.1").stat().st_size < rotating_log.MAX_BYTES + 2**16


def test_on_a_full_disk_what_is_lost_is_counted_and_the_rest_goes_on(small_disk: SmallDisk) -> None:
    file = small_disk.folder / "some.log"
    log = RotatingLog(file)
    log.write(b"first\n")
    small_disk.fill()
    log.write(b"lost\n" * 2000)
    log.write(b"lost too\n")
    small_disk.free()
    log.write(b"last\n")
    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("first", "last")
    notice = parse_line(lines[-2])
    assert notice is not None
    assert "bytes of this log were lost: No space left on device" in notice.message
    assert json.loads(lines[-2])["level"] == "WARNING"
