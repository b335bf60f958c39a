"""Settings of a service of a test's own, beside whatever else runs on the machine."""

import socket
import subprocess
from pathlib import Path

import pytest

from service.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    return Settings(home=tmp_path / "home", data_dir=tmp_path / "data", port=ports[0], mlflow_port=ports[1], cpus=1)


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine with compose; who asks for these tests wants them run."""
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.fail("there is no `docker`; install Docker Engine with its compose plugin", pytrace=False)
        if done.returncode != 0:
            pytest.fail(f"`{' '.join(command)}` says: {done.stderr.strip()}", pytrace=False)
