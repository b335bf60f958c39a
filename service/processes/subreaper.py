"""Runs a command as a subreaper: all its descendants end when it ends, is told to stop, or its parent dies.

    python -m service.processes.subreaper GRACE COMMAND...

The parent keeps the other end of a pipe that is this process's standard input; what it writes there goes to the
command's. SIGTERM, or the end of that pipe (the parent died, by SIGKILL too), asks the command to stop with SIGTERM;
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
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda number, _frame: received.append(number))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    try:
        _wait(process, grace, received)
    finally:
        kill_descendants()
    status = process.returncode
    return status if status >= 0 else 128 - status


def kill_descendants() -> None:
    """Kill and reap every process below this one; return when none is left."""
    while below := descendants(os.getpid()):
        for process in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
        _reap(except_pid=0)


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
    pids: list[int] = []
    unseen = [ancestor]
    while unseen:
        below = children.get(unseen.pop(), [])
        pids += below
        unseen += below
    return pids


def _wait(process: subprocess.Popen[bytes], grace: float, received: list[int]) -> None:
    while process.poll() is None and not received and not _forward_input(process):
        _reap(except_pid=process.pid)
    if process.poll() is not None:
        return
    process.terminate()
    deadline = time.monotonic() + grace
    while process.poll() is None and signal.SIGQUIT not in received and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    process.kill()
    process.wait()


def _forward_input(process: subprocess.Popen[bytes]) -> bool:
    """Forward the parent's input to the command for a moment; return whether the input has ended."""
    readable, _, _ = select.select([sys.stdin], [], [], _POLL_SECONDS)
    if not readable:
        return False
    data = os.read(sys.stdin.fileno(), select.PIPE_BUF)
    assert process.stdin is not None  # asked for above
    with contextlib.suppress(BrokenPipeError):  # the command has just ended, or reads nothing
        os.write(process.stdin.fileno(), data)
    return not data


def _reap(*, except_pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == except_pid:  # its status is still to be asked for
                return
            os.waitpid(ended.si_pid, 0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
