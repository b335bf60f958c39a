"""`l4-studies serve` from outside: ready, interrupted in the middle of a study, killed, and nothing left behind."""

import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.auth.keys import open_api_keys
from service.client.client import Client
from service.roles import Role
from service.settings import Access, Settings
from service.states import State
from tests.support.services.processes import processes, state
from tests.support.services.serving import serving, wait_for

pytestmark = pytest.mark.slow

# long enough to be interrupted, on one worker
STUDY = """
name: To be interrupted
workloads: [{name: linear_regression, steps: 1000000}]
arms: [{name: l4adam}, {name: sgd, search: {lr: {}}}]
protocol: {trials: 4, confirm_seeds: 7}
"""


def _await_driver(settings: Settings, client: Client, study_id: str, process: subprocess.Popen[bytes]) -> None:
    wait_for(lambda: client.study(study_id).state is State.RUNNING, process, 20)
    wait_for(lambda: settings.driver_log(study_id).exists(), process, 20)


def _gone_within(settings: Settings, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while processes(settings):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_nothing_is_left_and_the_study_goes_on_whatever_ends_the_service(settings: Settings, tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    settings = settings.model_copy(update={"access": Access.KEYS})  # its parts do without
    with open_api_keys(settings) as keys:
        key = keys.create("submitter", Role.SUBMITTER, datetime.now(UTC))
    with serving(settings, first) as process, Client(settings.url, key=key) as client:
        assert "by API key" in first.read_text()
        assert settings.url in first.read_text()
        study_id = client.submit(STUDY).id
        _await_driver(settings, client, study_id, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert first.read_text().endswith("The service has stopped.\n")
    assert processes(settings) == []
    assert state(settings, study_id) is State.QUEUED

    with serving(settings, second) as process, Client(settings.url, key=key) as client:
        _await_driver(settings, client, study_id, process)
        process.kill()
        process.wait()
        assert _gone_within(settings, 45), processes(settings)
    assert state(settings, study_id) is State.QUEUED
