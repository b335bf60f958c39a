"""`l4-studies serve` on a disk that fills: it says so, takes up nothing, and goes on once there is room."""

import time
from pathlib import Path

import httpx
import pytest

from service.client.client import Client
from service.processes.log_files import last_lines
from service.states import State
from tests.support.services.serving import serving, settings_in, wait_for
from tests.support.services.small_disk import SmallDisk

pytestmark = pytest.mark.slow

STUDY = """
name: On a full disk
workloads: [{name: linear_regression, steps: 2000}]
arms: [{name: l4adam}, {name: sgd, search: {lr: {}}}]
protocol: {trials: 4, confirm_seeds: 7}
"""


def ready(client: Client) -> bool:
    return httpx.get(f"{client.url}/readyz", trust_env=False, timeout=60).status_code == 200


def test_a_service_whose_disk_fills_goes_on_once_there_is_room(small_disk: SmallDisk, tmp_path: Path) -> None:
    settings = settings_in(small_disk.folder).model_copy(update={"data_dir": tmp_path / "data"})
    with serving(settings, tmp_path / "output.txt") as process, Client(settings.url) as client:
        first = client.submit(STUDY).id
        wait_for(lambda: client.study(first).progress.done > 0, process, 400)
        small_disk.fill()
        refused = httpx.get(f"{settings.url}/readyz", trust_env=False, timeout=60)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:l4-studies:problem:disk-full")
        time.sleep(5)  # everything that writes meets it
        small_disk.leave(32 * 2**20)
        wait_for(lambda: client.study(first).state is State.SUCCEEDED, process, 400)

        second = client.submit(STUDY).id
        runner_log = settings.home / "logs" / "runner.log"
        wait_for(lambda: "the disk of L4_HOME is full" in last_lines(runner_log, 1000), process, 60)
        assert client.study(second).state is State.QUEUED
        assert not ready(client)
        small_disk.free()
        assert ready(client)
        wait_for(lambda: client.study(second).state is State.SUCCEEDED, process, 400)
        assert "there is room again" in last_lines(runner_log, 1000)


def test_it_does_not_begin_without_room(small_disk: SmallDisk, tmp_path: Path) -> None:
    settings = settings_in(small_disk.folder)
    small_disk.leave(2**20)
    with pytest.raises(AssertionError, match="the service ended"), serving(settings, output := tmp_path / "output.txt"):
        pass
    assert "the disk of L4_HOME is full: it has room for 1 MB" in " ".join(output.read_text().split())
