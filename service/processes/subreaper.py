"""Runs a command on a leash: whatever it started is gone once it ends, is told to stop, or loses the leash's holder.

    python -m service.processes.subreaper GRACE COMMAND...

The holder keeps the other end of a pipe that is this process's standard input; what it writes there goes to the
command's. SIGTERM, or the end of that pipe (the holder died, by SIGKILL too), asks the command to stop with SIGTERM;
after GRACE seconds, or on SIGQUIT at once, the command and all its descendants are killed. As a "child subreaper" this
process inherits every orphan among them, those in sessions of their own included. It exits as the command did. Only the
standard library is used, to start in no time.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.1


def main(arguments: list[str]) -> int:
    """Run the command until it ends or has to stop.

    Args:
        arguments: The grace in seconds, then the command and its arguments.

    Returns:
        The command's exit status; 128 + the signal's number where a signal ended it.
    """
    grace, command = float(arguments[0]), arguments[1:]
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda number, _frame: asked.append(number))
    _control_process(_PR_SET_CHILD_SUBREAPER, 1)
    started = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        preexec_fn=lambda: _control_process(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    try:
        _wait(started, grace, asked)
    finally:
        kill_descendants()
    status = started.returncode
    return status if status >= 0 else 128 - status


def kill_descendants() -> None:
    """Kill and reap every process below this one; return when none is left."""
    while below := descendants(os.getpid()):
        for process in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
        _reap(spare=0)


def descendants(ancestor: int) -> list[int]:
    """Return the ids of all processes below one, as /proc tells; none where there is no /proc.

    Args:
        ancestor: The id of the process to look below.
    """
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = int(status.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    found: list[int] = []
    unseen = [ancestor]
    while unseen:
        below = children.get(unseen.pop(), [])
        found += below
        unseen += below
    return found


def _wait(started: subprocess.Popen[bytes], grace: float, asked: list[int]) -> None:
    while started.poll() is None and not asked and not _holder_is_gone(started):
        _reap(spare=started.pid)
    if started.poll() is not None:
        return
    started.terminate()
    deadline = time.monotonic() + grace
    while started.poll() is None and signal.SIGQUIT not in asked and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    started.kill()
    started.wait()


def _holder_is_gone(started: subprocess.Popen[bytes]) -> bool:
    """Wait a moment for what the holder writes, and hand it on."""
    readable, _, _ = select.select([sys.stdin], [], [], _POLL_SECONDS)
    if not readable:
        return False
    written = os.read(sys.stdin.fileno(), select.PIPE_BUF)
    assert started.stdin is not None  # asked for above
    with contextlib.suppress(BrokenPipeError):  # the command has just ended, or reads nothing
        os.write(started.stdin.fileno(), written)
    return not written


def _reap(*, spare: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == spare:  # its status is still to be asked for
                return
            os.waitpid(ended.si_pid, 0)


def _control_process(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
