"""A whole service, as `make serve` runs it, on free ports and in a folder of its own."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from service.cli.serve import run_service
from service.client.client import Client
from service.settings import Settings
from studies.execution.ray_cluster import ENVIRONMENT
from tests.support.normalized_report import normalize_report
from tests.support.services.http_process import free_port


def own_settings(home: Path) -> Settings:
    """Return settings of a service of its own; one processor, so that packs are trained in their order."""
    return Settings(
        home=home,
        data_dir=home / "data",
        port=free_port(),
        mlflow_port=free_port(),
        cpus=1,
        lease_seconds=5.0,
        webhooks_private=True,
    )


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a service that runs for all tests of the session."""
    chosen = own_settings(tmp_path_factory.mktemp("home"))
    with run_service(chosen, Console(quiet=True)):
        yield chosen


@pytest.fixture
def settings_of() -> Callable[[Path], Settings]:
    """What makes the settings of another service, from its home."""
    return own_settings


@pytest.fixture
def comparable() -> Callable[[bytes], bytes]:
    """What blanks a report's ids, times and durations, and nothing else."""
    return normalize_report


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A client of the running service."""
    with Client(settings.url) as connected:
        yield connected


#: A Ray of six processors and two GPUs.
_RAY = """
import sys, ray
ray.init(address="local", num_cpus=6, num_gpus=2, include_dashboard=False, log_to_driver=False)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def environment() -> dict[str, str]:
    """What both processes are started with."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"} | ENVIRONMENT | token


@pytest.fixture
def ray_address(environment: dict[str, str]) -> Iterator[str]:
    """A Ray of six processors and two GPUs, whether there are any or not."""
    command = [sys.executable, "-c", _RAY]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ray:
        assert ray.stdout is not None
        assert ray.stdin is not None
        yield ray.stdout.readline().strip()
        ray.stdin.close()
        ray.wait(60)
