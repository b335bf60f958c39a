"""Real child processes: stopped gracefully or by force, and killed when the supervisor dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import ProcessDiedError
from service.processes.child_process import ChildProcess, ProcessSpec, stop_all
from service.processes.log_files import last_lines

pytestmark = pytest.mark.heavy

# Ignores SIGTERM, starts a grandchild in a new session that does too, writes both process ids, then sleeps.
_STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
below = subprocess.Popen([sys.executable, "-c", sys.argv[2]], start_new_session=True)
open(sys.argv[1], "w").write(f"{os.getpid()} {below.pid}\\n")
time.sleep(600)
"""
_SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def _command(tmp_path: Path, *arguments: str, grace: float = 5.0) -> ProcessSpec:
    return ProcessSpec(
        name="worker",
        arguments=(sys.executable, *arguments),
        environment=dict(os.environ),
        log=tmp_path / "worker.log",
        grace_seconds=grace,
    )


def _stubborn(tmp_path: Path, *, grace: float) -> ProcessSpec:
    return _command(tmp_path, "-c", _STUBBORN, str(tmp_path / "ids"), _SLEEPER, grace=grace)


def _soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _ids(tmp_path: Path) -> list[int]:
    path = tmp_path / "ids"
    _soon(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(word) for word in path.read_text().split()]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_stop_lets_the_command_clean_up(tmp_path: Path) -> None:
    script = (
        "import signal, sys, time\n"
        "def leave(*_):\n    print('cleaned up'); sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, leave); print('up', flush=True); time.sleep(600)"
    )
    child = ChildProcess(_command(tmp_path, "-c", script))
    _soon(lambda: "up" in last_lines(child.spec.log))
    assert child.exit_status is None
    child.require_running()
    stop_all([child])
    assert child.exit_status == 3
    assert last_lines(child.spec.log) == "up\ncleaned up"


def test_it_ended_as_asked_where_it_was_asked_to(tmp_path: Path) -> None:
    terminated, cut, failed = (
        ChildProcess(_command(tmp_path, "-c", script))
        for script in ("import time; time.sleep(600)", "import os; os.kill(os.getpid(), 15)", "raise SystemExit(1)")
    )
    for child in (cut, failed):
        child.wait()
    terminated.terminate()
    terminated.wait()
    assert (terminated.exit_status, terminated.stopped_on_request) == (128 + signal.SIGTERM, True)
    assert (cut.exit_status, cut.stopped_on_request) == (128 + signal.SIGTERM, False)
    assert (failed.exit_status, failed.stopped_on_request) == (1, False)


def test_what_ignores_sigterm_is_killed_after_its_grace_with_all_its_descendants(tmp_path: Path) -> None:
    child = ChildProcess(_stubborn(tmp_path, grace=0.5))
    ids = _ids(tmp_path)
    start = time.monotonic()
    stop_all([child])
    assert time.monotonic() - start >= 0.5
    assert not any(_lives(process) for process in ids)
    assert child.exit_status == 128 + signal.SIGKILL


def test_killing_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    child = ChildProcess(_stubborn(tmp_path, grace=60))
    ids = _ids(tmp_path)
    child.kill()
    child.wait()
    assert not any(_lives(process) for process in ids)


def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    child = ChildProcess(_stubborn(tmp_path, grace=60))
    ids = _ids(tmp_path)
    interrupt = subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -INT {os.getpid()}"])
    with pytest.raises(KeyboardInterrupt):
        stop_all([child])
    interrupt.wait()
    assert not any(_lives(process) for process in ids)


def test_descendants_of_a_command_that_ends_by_itself_do_not_outlive_it(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys\n"
        "below = subprocess.Popen([sys.executable, '-c', sys.argv[2]], start_new_session=True)\n"
        "open(sys.argv[1], 'w').write(f'{below.pid}\\n')\n"
    )
    child = ChildProcess(_command(tmp_path, "-c", script, str(tmp_path / "ids"), _SLEEPER))
    ids = _ids(tmp_path)
    _soon(lambda: child.exit_status is not None)
    assert child.exit_status == 0
    assert not any(_lives(process) for process in ids)
    child.wait()


def test_nothing_survives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, pathlib, sys, time\n"
            "from service.processes.child_process import ChildProcess, ProcessSpec\n"
            "child = ChildProcess(ProcessSpec(name='worker', arguments=tuple(sys.argv[2:]), "
            "environment=dict(os.environ), log=pathlib.Path(sys.argv[1]), grace_seconds=0.5))\n"
            "time.sleep(600)",
            str(tmp_path / "worker.log"),
            *_stubborn(tmp_path, grace=0.5).arguments,
        ]
    )
    ids = _ids(tmp_path)
    supervisor.kill()
    supervisor.wait()
    _soon(lambda: not any(_lives(process) for process in ids))


def test_a_child_that_died_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, "-c", "import sys; print('no such data'); sys.exit(7)"))
    _soon(lambda: child.exit_status is not None)
    with pytest.raises(ProcessDiedError, match=r"the worker ended with exit status 7; .*worker.log:\nno such data"):
        child.require_running()
    child.wait()


def test_a_child_reads_what_it_is_told(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, "-u", "-c", "print(input()); print(input())"))
    child.write_line("first")
    child.write_line("second")
    _soon(lambda: child.exit_status == 0)
    child.write_line("nobody hears this")
    child.wait()
    assert last_lines(child.spec.log) == "first\nsecond"
