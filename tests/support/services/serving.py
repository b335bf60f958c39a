"""The embedded service as a process of a test's own, beside whatever else runs on the machine."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from service.cli.serve import child_environment
from service.settings import Settings


def settings_in(folder: Path) -> Settings:
    """Return settings with ports that nothing listens on.

    Args:
        folder: For everything that the service makes.
    """
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    return Settings(home=folder / "home", data_dir=folder / "data", port=ports[0], mlflow_port=ports[1], cpus=1)


@contextmanager
def serving(settings: Settings, output: Path) -> Generator[subprocess.Popen[bytes]]:
    """Start the service, wait until it says how it is used, and kill it at the end.

    Args:
        settings: The service's.
        output: Takes what it says.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "serve"],
            env=child_environment(settings),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(lambda: "Ctrl-C stops the service" in output.read_text(), process, 150)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float) -> None:
    """Return once a condition holds.

    Args:
        condition: Asked over and over.
        process: The service, which must not end meanwhile.
        seconds: How long at most.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the service ended"
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)
