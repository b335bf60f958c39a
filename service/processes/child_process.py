"""Child processes: each under a subreaper, with a log file, stopped with SIGTERM and then SIGKILL."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.errors import ProcessDiedError
from service.processes.log_files import last_lines

_SUBREAPER = (sys.executable, "-m", "service.processes.subreaper")
#: Exit status of a process that did not come up on a busy machine, and may when it is started again.
START_AGAIN = os.EX_TEMPFAIL
#: Added to a command's grace period: time for its subreaper to kill and reap remaining processes.
_SUBREAPER_GRACE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How to start a child process.

    Args:
        name: Its name in messages.
        arguments: The program and its arguments.
        environment: The complete environment.
        log: The file to which its output is appended; it rotates.
        grace_seconds: Seconds between SIGTERM and SIGKILL.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    grace_seconds: float = 5.0


class ChildProcess:
    """A child process; it stops if this process dies.

    Args:
        spec: How to start it.
    """

    def __init__(self, spec: ProcessSpec) -> None:
        """Start the process."""
        self.spec = spec
        self._stop_requested = False
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log:  # takes what the subreaper itself says
            self._subreaper = subprocess.Popen(
                [*_SUBREAPER, str(spec.grace_seconds), str(spec.log), *spec.arguments],
                env=dict(spec.environment),
                stdin=subprocess.PIPE,  # it closes when this process dies, which the subreaper notices
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """Its exit status, 128 + the signal's number if a signal ended it; None while it runs."""
        return self._subreaper.poll()

    @property
    def stopped_on_request(self) -> bool:
        """Whether it ended on request; SIGTERM may also hit its subreaper while that is exiting."""
        return self._stop_requested and self.exit_status in (128 + signal.SIGTERM, -signal.SIGTERM)

    def require_running(self) -> None:
        """Check that it runs.

        Raises:
            ProcessDiedError: It ended; the message has its exit status and its log's last lines.
        """
        status = self.exit_status
        if status is not None:
            name, log = self.spec.name, self.spec.log
            raise ProcessDiedError(
                f"the {name} ended with exit status {status}; the last lines of {log}:\n{last_lines(log)}"
            )

    def write_line(self, line: str) -> None:
        """Write a line to its standard input; ignored if it has ended.

        Args:
            line: Without the newline.
        """
        assert self._subreaper.stdin is not None  # `stdin=PIPE`
        with contextlib.suppress(BrokenPipeError):
            os.write(self._subreaper.stdin.fileno(), f"{line}\n".encode())

    def terminate(self) -> None:
        """Send it SIGTERM and return at once."""
        self._stop_requested = True
        self._subreaper.terminate()

    def kill(self) -> None:
        """Kill it and all its descendants, and return at once."""
        self._subreaper.send_signal(signal.SIGQUIT)

    def wait(self) -> None:
        """Wait until it and all its descendants have ended; kill it after the grace period."""
        deadline = time.monotonic() + self.spec.grace_seconds + _SUBREAPER_GRACE_SECONDS
        try:
            self._subreaper.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._subreaper.kill()  # the command gets SIGKILL when the subreaper, its parent, dies
            self._subreaper.wait()
        assert self._subreaper.stdin is not None  # `stdin=PIPE`
        self._subreaper.stdin.close()


def stop_all(children: list[ChildProcess]) -> None:
    """Stop children one after the other; a KeyboardInterrupt meanwhile kills the remaining ones at once.

    Args:
        children: In the order to stop them.
    """
    try:
        for child in children:
            child.terminate()
            child.wait()
    except KeyboardInterrupt:
        for child in children:
            child.kill()
        for child in children:
            child.wait()
        raise
