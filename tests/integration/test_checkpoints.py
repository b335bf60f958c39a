"""Workers killed in the middle of long packs, on a real Ray: the packs go on to the rows of an undisturbed study."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import final

import psutil
import pytest

from service.runner.ledger import StudyLedger
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.execution import ray_cluster, ray_tune
from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.execution.driver import Driver
from studies.execution.jobs import Job, TrainingSite
from studies.execution.worker import train_pack
from studies.registry import build_catalogue
from studies.validation.resolver import resolve
from tests.support.paths import ROOT
from tests.support.training.throughput import next_pack

pytestmark = pytest.mark.slow

STEPS = 4000
#: Two packs of two runs each, one after the other.
STUDY = {
    "name": "cut",
    "workloads": [{"name": "digits_mlp", "steps": STEPS}],
    "arms": [{"name": "l4adam"}],
    "protocol": {"search_seeds": 2, "confirm_seeds": 2},
}
PACKS = 2
#: What Ray calls a process that trains.
TRAINING = "ray::ResourceTrainable"
SECONDS = 600.0


@final
class Unprobed:
    """A driver whose packs are eager ones of two lanes, without any measuring."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.is_finished, self.record_result, self.record_speeds = (
            driver.is_finished,
            driver.record_result,
            driver.record_speeds,
        )
        self.handle_failure, self.record_wait, self.poll = driver.handle_failure, driver.record_wait, driver.poll

    def next_job(self) -> Job | None:
        return next_pack(self._driver, lanes=2)


def opened(folder: Path) -> tuple[Driver, StudyLedger]:
    """Return the driver of that study in a database of its own, and its rows."""
    store, spec = Store(open_engine(f"sqlite:///{folder / 'studies.db'}")), resolve(STUDY, build_catalogue())
    store.migrate()
    store.add_study(spec, datetime.now(UTC))
    claim = store.claim(datetime.now(UTC), 1000)
    assert claim is not None
    ledger = StudyLedger(store, claim.study_id, claim.token)
    driver = Driver(
        spec=spec,
        ledger=ledger,
        site=TrainingSite(data_dir=folder, programs=folder / "programs", hardware="here"),
        parameters=ParameterStore(folder=folder / "parameters"),
        checkpoints=CheckpointStore(folder=folder / "checkpoints", interval_seconds=0.2, max_overhead=0.5),
        paused=lambda: False,
    )
    return driver, ledger


def rows(ledger: StudyLedger) -> str:
    """Return all that was measured, a line each run; floats are written so that they are told apart."""
    return "\n".join(repr(run) for run in ledger.rows(series=True).runs)


@contextlib.contextmanager
def disturbed(folder: Path) -> Generator[psutil.Process]:
    """Run a process that trains the study on a Ray of its own, and has written its rows into a file when it ends."""
    folder.mkdir()
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.test_checkpoints", "ray", str(folder)],
            cwd=ROOT,
            env=environment | ray_cluster.ENVIRONMENT,
            stdout=log,
            stderr=log,
        )
    try:
        yield psutil.Process(process.pid)
        assert process.wait(SECONDS) == 0, (folder / "log").read_text()
    finally:
        below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for each in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.kill()
        process.wait()


def worker(above: psutil.Process, other_than: Sequence[int]) -> psutil.Process:
    """Return the process that trains, once there is another one."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for process in above.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.pid not in other_than and TRAINING in " ".join(process.cmdline()):
                    return process
        time.sleep(0.05)
    raise AssertionError(f"no worker but {other_than}")


def test_killed_in_every_pack_a_study_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    driver, ledger = opened(tmp_path / "whole")
    while (job := next_pack(driver, lanes=2)) is not None:
        driver.record_result(job.number, train_pack(job, "cpu"))

    folder = tmp_path / "cut"
    killed: list[int] = []
    with disturbed(folder) as above:
        for pack in range(PACKS):
            file = folder / "checkpoints" / f"pack-{pack:05d}.checkpoint"
            deadline = time.monotonic() + SECONDS
            while not file.exists():
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.02)
            time.sleep(1.0)  # into the middle
            killed.append(worker(above, killed).pid)
            os.kill(killed[-1], signal.SIGKILL)
    assert len(killed) == PACKS
    # what a worker says is said again by the driver
    went_on = re.findall(r"pack-(\d+)\.checkpoint: training goes on after (\d+) steps", (folder / "log").read_text())
    assert {int(pack) for pack, _ in went_on} == set(range(PACKS))
    assert all(0 < int(steps) < STEPS for _, steps in went_on)  # only the others are trained again
    assert (folder / "rows").read_text() == rows(ledger)
    assert not list((folder / "checkpoints").iterdir())


def own_ray(folder: Path) -> None:
    """Start Ray, and a process that drives the study on it."""
    address = ray_cluster.start_local(1, 0)
    try:
        subprocess.run(
            [sys.executable, "-m", "tests.integration.test_checkpoints", "drive", str(folder), address], check=True
        )
    finally:
        ray_cluster.disconnect()


def drive(folder: Path, address: str) -> None:
    """Train the study, and write its rows."""
    driver, ledger = opened(folder)
    with ray_cluster.connected(address):
        ray_tune.run_experiment(Unprobed(driver), name="cut", storage=folder / "tune", stopping=lambda: False)
    (folder / "rows").write_text(rows(ledger))


if __name__ == "__main__":
    if sys.argv[1] == "ray":
        own_ray(Path(sys.argv[2]))
    else:
        drive(Path(sys.argv[2]), sys.argv[3])
