"""Settings of a service of a test's own, beside whatever else runs on the machine, and a deployment in containers."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client.client import Client
from service.settings import Settings
from tests.support.services.compose import Deployment
from tests.support.services.http_process import free_port
from tests.support.services.serving import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


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


@pytest.fixture(scope="session")
def port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def deployment(port: int, engine: None) -> Iterator[Deployment]:
    found = Deployment(
        project="l4-acceptance",
        files=("docker-compose.yml", "docker/compose.cpu.yml"),
        settings={"LISTEN": f"127.0.0.1:{port}", "WORKER_CPUS": "1"},
    )
    found.compose("down", "--volumes", "--remove-orphans", check=False)
    try:
        yield found
    finally:
        found.compose("--profile=*", "down", "--volumes", "--remove-orphans", check=False)


@pytest.fixture(scope="session")
def key(deployment: Deployment, built: None) -> str:
    """The admin's key, from the first start."""
    printed = deployment.compose("run", "--rm", "-T", "api", "l4-studies", "init").stdout.decode()
    deployment.compose("up", "--detach", "--wait")
    (found,) = [word for word in printed.split() if word.startswith("l4_")]
    return found


@pytest.fixture(scope="session")
def built(deployment: Deployment) -> None:
    deployment.compose("build")


@pytest.fixture
def asked(key: str) -> dict[str, str]:
    """The headers of who has the admin's key."""
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def client(port: int, key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    with Client(f"http://127.0.0.1:{port}", key=key) as found:
        yield found
