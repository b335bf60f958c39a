"""Runs a command as a subreaper: all its descendants end when it ends, has to stop, or the parent process dies.

    python -m service.processes.subreaper GRACE LOG COMMAND...

Standard input is a pipe from the parent and is forwarded to the command; its output goes into the file LOG, which
rotates. On SIGTERM, or when the pipe closes (the parent died, even by SIGKILL), the command gets SIGTERM; after GRACE
seconds, or at once on SIGQUIT, the command and all its descendants are killed. As a "child subreaper" this process
adopts every orphaned descendant, also those in other sessions. Its exit status is the command's. It uses only the
standard library, to start fast.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from service.processes.rotating_log import RotatingLog

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.1
#: The pipe has its end once all writers are dead, unless one was handed to a process that is no descendant.
_OUTPUT_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Run the command until it ends or has to stop.

    Args:
        arguments: The grace period in seconds, the log, then the command and its arguments.

    Returns:
        The command's exit status, 128 + the signal's number if a signal ended it.
    """
    grace, log, command = float(arguments[0]), RotatingLog(Path(arguments[1])), arguments[2:]
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda number, _frame: received.append(number))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    assert process.stdout is not None  # `stdout=PIPE`
    output = threading.Thread(target=log.copy, args=(process.stdout.fileno(),), daemon=True)
    output.start()
    try:
        _wait(process, grace, received)
    finally:
        kill_descendants()
        output.join(_OUTPUT_SECONDS)
    status = process.returncode
    return status if status >= 0 else 128 - status


def kill_descendants() -> None:
    """Kill and reap all descendants of this process; return when none is left."""
    while pids := descendants(os.getpid()):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
        _reap(except_pid=0)


def descendants(ancestor: int) -> list[int]:
    """Return the process ids of all descendants of a process, from /proc; empty without /proc.

    Args:
        ancestor: The id of the process.
    """
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # the process ended meanwhile
            parent = int(status.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    pids: list[int] = []
    pending = [ancestor]
    while pending:
        child_pids = children.get(pending.pop(), [])
        pids += child_pids
        pending += child_pids
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
    assert process.stdin is not None  # `stdin=PIPE`
    with contextlib.suppress(BrokenPipeError):  # the command has ended or closed its input
        os.write(process.stdin.fileno(), data)
    return not data


def _reap(*, except_pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == except_pid:  # `Popen` collects its status
                return
            os.waitpid(ended.si_pid, 0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
