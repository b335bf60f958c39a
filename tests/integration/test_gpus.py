"""GPUs as Ray counts them: four packs of half a GPU train together on two, and a fifth waits and says why."""

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from studies.cluster import ENVIRONMENT

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


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_packs_share_gpus_and_one_too_many_waits(tmp_path: Path, environment: dict[str, str], ray_address: str) -> None:
    def devices() -> dict[str, str]:
        return {file.name: file.read_text() for file in tmp_path.glob("pack-*") if file.read_text()}

    def told() -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (tmp_path / "waits").read_text().splitlines()
        return []

    waits = "4 packs are in training; the next waits for 0.5 GPU, and the cluster has 2"
    command = [sys.executable, "-m", "tests.integration.gpu_packs", ray_address, str(tmp_path)]
    with (tmp_path / "log").open("w") as log:
        driver = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: len(devices()) == 4 and told()[-1:] == [waits])
        assert Counter(devices().values()) == {"0": 2, "1": 2}

        time.sleep(2.0)
        assert len(devices()) == 4
        (tmp_path / "go").touch()
        until(lambda: driver.poll() is not None)
        assert driver.returncode == 0, (tmp_path / "log").read_text()
        assert len(devices()) == 5
        assert told()[-1] == ""
    finally:
        driver.kill()
        driver.wait()
