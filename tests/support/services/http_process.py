"""The HTTP process as it is deployed, on a port of a test's own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.paths import ROOT


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(home: Path, port: int, **settings: str) -> Generator[subprocess.Popen[bytes]]:
    """Run the HTTP process, and kill it at the end.

    Args:
        home: Where it keeps its files; what it says is in `api.log` there.
        port: Where it listens.
        settings: More of its environment.
    """
    environment = os.environ | {"L4_HOME": str(home), "L4_PORT": str(port), "PYTHONPATH": str(ROOT)} | settings
    home.mkdir(parents=True, exist_ok=True)
    with (home / "api.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "service.app"], env=environment, cwd=home, stderr=log)
    with killed_at_the_end(process):
        yield process


@contextmanager
def started_bare(port: int) -> Generator[subprocess.Popen[bytes]]:
    """Run a FastAPI application with one route, and kill it at the end.

    Args:
        port: Where it listens.
    """
    script = Path(__file__).with_name("bare_service.py")
    with killed_at_the_end(subprocess.Popen([sys.executable, str(script), str(port)])) as process:
        yield process


@contextmanager
def killed_at_the_end(process: subprocess.Popen[bytes]) -> Generator[subprocess.Popen[bytes]]:
    """Kill a process when the context is left."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_alive(process: subprocess.Popen[bytes], port: int) -> None:
    """Return once the process answers."""
    deadline = time.monotonic() + 30
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        while True:
            assert process.poll() is None, "it ended"
            assert time.monotonic() < deadline, "it never answered"
            try:
                assert client.get("/healthz").status_code == 200
            except httpx.TransportError:
                time.sleep(0.01)
            else:
                return
