"""GPUs as Ray counts them: four packs of half a GPU train together on two, and a fifth waits and says why."""

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


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
    command = [sys.executable, "-m", "tests.support.training.gpu_packs", ray_address, str(tmp_path)]
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
