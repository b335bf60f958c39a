"""Child processes of the supervisor: each on a leash, with a log file, stopped with grace and then by force."""

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

#: Beyond a command's own grace: what its leash may take to kill and reap what is left.
_LEASH_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Command:
    """A process that the supervisor keeps.

    Args:
        name: What people call it.
        arguments: The program and its arguments.
        environment: All of its environment.
        log: The file that gets its output, appended.
        grace: Seconds between SIGTERM and SIGKILL.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    grace: float = 5.0


class Child:
    """A running command.

    Args:
        command: What to start; it runs once this object is made, and is stopped if the supervisor dies.
    """

    def __init__(self, command: Command) -> None:
        """Start the command."""
        self.command = command
        self._asked = False
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            self._leash = subprocess.Popen(
                [sys.executable, "-m", "service.processes.subreaper", str(command.grace), *command.arguments],
                env=dict(command.environment),
                stdin=subprocess.PIPE,  # its end tells the leash that we are gone
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """Its exit status, 128 + the signal's number where a signal ended it; None while it runs."""
        return self._leash.poll()

    @property
    def ended_as_asked(self) -> bool:
        """Whether it was asked to stop, and ended of that: its leash too may be on its way out when SIGTERM comes."""
        return self._asked and self.exit_status in (128 + signal.SIGTERM, -signal.SIGTERM)

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            ProcessDiedError: It ended; the message has its exit status and its log's last lines.
        """
        status = self.exit_status
        if status is not None:
            name, log = self.command.name, self.command.log
            raise ProcessDiedError(
                f"the {name} ended with exit status {status}; the last lines of {log}:\n{last_lines(log)}"
            )

    def tell(self, line: str) -> None:
        """Write a line to its standard input; one that has ended does not get it.

        Args:
            line: Without its end.
        """
        assert self._leash.stdin is not None  # asked for above
        with contextlib.suppress(BrokenPipeError):
            os.write(self._leash.stdin.fileno(), f"{line}\n".encode())

    def ask_to_stop(self) -> None:
        """Send it SIGTERM and return at once."""
        self._asked = True
        self._leash.terminate()

    def kill(self) -> None:
        """Have it killed with all its descendants, and return at once."""
        self._leash.send_signal(signal.SIGQUIT)

    def wait(self) -> None:
        """Wait until it and all its descendants are gone, at most as long as its grace allows."""
        deadline = time.monotonic() + self.command.grace + _LEASH_SECONDS
        try:
            self._leash.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._leash.kill()  # its command gets SIGKILL when its parent, the leash, dies
            self._leash.wait()
        assert self._leash.stdin is not None  # asked for above
        self._leash.stdin.close()


def stop(children: list[Child]) -> None:
    """Stop children one after the other; a KeyboardInterrupt meanwhile kills those that are left at once.

    Args:
        children: In the order in which they are to stop.
    """
    try:
        for child in children:
            child.ask_to_stop()
            child.wait()
    except KeyboardInterrupt:
        for child in children:
            child.kill()
        for child in children:
            child.wait()
        raise
