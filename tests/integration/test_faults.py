"""A study whose parts are killed at random moments ends as an undisturbed one, whatever was killed and how often."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.cli.serve import child_environment
from service.client.client import Client
from service.client.connection import RequestRefusedError
from service.errors import UnreachableError
from service.schemas.studies import StudyResponse
from service.settings import Settings
from service.states import ENDED, State
from tests.support.recorded import mlflow_runs
from tests.support.services.processes import matching

#: What is killed: a pattern that is found in its command and in no other.
PARTS = {
    "HTTP process": r"-m service\.app",
    "runner": r"-m service\.runner$",
    "driver": r"-m service\.runner\.driver",
    "worker": "ray::",
    "MLflow server": "mlflow server",
    "raylet": "raylet/raylet",
}
SECONDS = 900.0


def study(epochs: int) -> dict[str, Any]:
    """Return a study whose runs are each a pack of its own.

    Args:
        epochs: Of the runs of `digits_mlp`.
    """
    return {
        "name": "to be disturbed",
        "workloads": [
            {"name": "digits_mlp", "steps": 18 * epochs, "lanes": 1},
            {"name": "linear_regression", "lanes": 1},
        ],
        "arms": [
            {"name": "l4mom"},
            {"name": "sgd", "search": {"lr": {"low": 1e-5, "high": 1e-2}}},
            {"name": "adam", "search": {"lr": {"low": 1e-5, "high": 1e-2}}},
        ],
        "protocol": {"sampler": "tpe", "trials": 6, "batch": 3, "confirm_seeds": 2},
    }


@pytest.fixture
def own(tmp_path: Path, settings_of: Callable[[Path], Settings]) -> Settings:
    """The settings of a service of its own."""
    return settings_of(tmp_path)


@contextlib.contextmanager
def serving(settings: Settings) -> Generator[psutil.Process]:
    """Run the service as `l4-studies serve` does."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "serve.log").open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli.serve"], env=child_environment(settings), stdout=file, stderr=file
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def answered(ask: Callable[[], StudyResponse]) -> StudyResponse:
    """Ask until there is an answer."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return ask()
        except (RequestRefusedError, UnreachableError):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def kill(service: psutil.Process, part: str, drawn: random.Random) -> None:
    """Kill one process of a part, once there is one."""
    deadline = time.monotonic() + 120
    while not (found := list(matching(service, PARTS[part]))):
        assert time.monotonic() < deadline, f"no {part}"
        time.sleep(0.05)
    with contextlib.suppress(psutil.Error):
        drawn.choice(found).send_signal(signal.SIGKILL)


def ended(client: Client, study_id: str) -> StudyResponse:
    """Wait until a study has ended."""
    deadline = time.monotonic() + SECONDS
    while (found := answered(lambda: client.study(study_id))).state not in ENDED:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What is killed.

    Args:
        part: Its name.
        after: Seconds since the kill before.
    """

    part: str
    after: float


def disturbed(own: Settings, epochs: int, kills: list[Kill], comparable: Callable[[bytes], bytes]) -> None:
    """Compare a study that is left alone with one that is not."""
    drawn = random.Random(0)
    with serving(own) as service, Client(own.url) as client:
        undisturbed = ended(client, answered(lambda: client.submit(study(epochs))).id)
        assert undisturbed.state is State.SUCCEEDED
        assert undisturbed.progress.done >= 30
        study_id = answered(lambda: client.submit(study(epochs), key="disturbed")).id
        for each in kills:
            time.sleep(each.after)
            assert answered(lambda: client.study(study_id)).state not in ENDED, f"it ended before {each}"
            kill(service, each.part, drawn)
        found = ended(client, study_id)
        assert (found.state, found.reason) == (State.SUCCEEDED, "")
        assert comparable(client.report(found.id)) == comparable(client.report(undisturbed.id))
        runs = [(run.workload, run.arm, run.stage, run.trial, run.seed) for run in client.runs(found.id)]
        assert len(runs) == len(set(runs)) == found.progress.done == undisturbed.progress.done
        keys = [run.data.tags["l4.run"] for run in mlflow_runs(own, found.id)]
        assert len(keys) == len(set(keys)) == 1 + len(runs)
    own_processes = [each for each in psutil.process_iter(["environ"]) if str(own.home) in str(each.info["environ"])]
    assert not [each for each in own_processes if each.pid != os.getpid()]


@pytest.mark.slow
def test_every_part_is_killed_once(own: Settings, comparable: Callable[[bytes], bytes]) -> None:
    drawn = random.Random(1)
    kills = [Kill(part=part, after=drawn.uniform(0.0, 6.0)) for part in drawn.sample(list(PARTS), len(PARTS))]
    disturbed(own, 20, kills, comparable)


@pytest.mark.soak
def test_parts_are_killed_at_random_moments(own: Settings, comparable: Callable[[bytes], bytes]) -> None:
    drawn = random.Random(2)
    kills = [Kill(part=part, after=drawn.uniform(0.0, 12.0)) for part in drawn.choices(list(PARTS), k=25)]
    disturbed(own, 500, kills, comparable)
