"""`l4-studies serve` from outside: ready, interrupted in the middle of a study, killed, and nothing left behind."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.client import Client
from service.database import open_engine
from service.serve import environment
from service.settings import Settings
from service.states import State
from service.store import Store

# long enough to be interrupted, on one worker
STUDY = """
name: To be interrupted
workloads: [{name: linear_regression, steps: 1000000}]
arms: [{name: l4adam}, {name: sgd, search: {lr: {}}}]
protocol: {trials: 4, confirm_seeds: 7}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    return Settings(home=tmp_path / "home", data_dir=tmp_path / "data", port=ports[0], mlflow_port=ports[1], cpus=1)


@contextmanager
def _serving(settings: Settings, output: Path) -> Generator[subprocess.Popen[bytes]]:
    """Start the service and wait until it says how it is used."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "serve"],
            env=environment(settings),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await(lambda: "Ctrl-C stops the service" in output.read_text(), process, 150)
        yield process
    finally:
        process.kill()
        process.wait()


def _await(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the service ended"
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


def _await_driver(settings: Settings, client: Client, study_id: str, process: subprocess.Popen[bytes]) -> None:
    _await(lambda: client.study(study_id).state is State.RUNNING, process, 20)
    _await(lambda: any("service.driver" in each for each in _processes(settings)), process, 20)


def _processes(settings: Settings) -> list[str]:
    """Every process that inherited this test's settings, in whatever session, with its command line."""
    mark = f"L4_HOME={settings.home.absolute()}".encode()
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile
    return found


def _gone_within(settings: Settings, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _processes(settings):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _state(settings: Settings, study_id: str) -> State:
    engine = open_engine(settings.database_url)
    try:
        return Store(engine).study(study_id).state
    finally:
        engine.dispose()


def test_nothing_is_left_and_the_study_goes_on_whatever_ends_the_service(settings: Settings, tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    with _serving(settings, first) as process, Client(settings.url) as client:
        assert settings.url in first.read_text()
        study_id = client.submit(STUDY).id
        _await_driver(settings, client, study_id, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert first.read_text().endswith("The service has stopped.\n")
    assert _processes(settings) == []
    assert _state(settings, study_id) is State.QUEUED

    with _serving(settings, second) as process, Client(settings.url) as client:
        _await_driver(settings, client, study_id, process)
        process.kill()
        process.wait()
        assert _gone_within(settings, 45), _processes(settings)
    assert _state(settings, study_id) is State.QUEUED
