"""A driver that is asked to stop: a study that is being cancelled gets its report, whatever else happens meanwhile."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service import verbs
from service.database import open_engine
from service.entities import Claim
from service.ledger import StudyLedger
from service.runners import Runners
from service.settings import Settings
from service.states import State
from service.store import Store
from studies.publish import catalogue
from studies.report import Report
from studies.resolve import resolve
from studies.rows import Stage
from tests.unit.service.test_ledger import done, runs_of, some_pack, some_trial

_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_STUDY = {
    "name": "cut",
    "workloads": [{"name": "digits_mlp", "steps": 100}, {"name": "mnist_mlp", "steps": 5}],
    "arms": [{"name": "l4mom"}],
    "protocol": {"confirm_seeds": 2},
}

#: Drives a study, and is sent SIGTERM while it writes the report: it was asked to stop in some other way before.
_ASKED = """
import os, signal, sys, threading
from service import driver
from service.settings import Settings
home, study, token, ray = sys.argv[1:]
stopping, render = threading.Event(), driver.render
def asked_twice(*given):
    os.kill(os.getpid(), signal.SIGTERM)
    return render(*given)
signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
driver.render = asked_twice
stopping.set()
driver.drive(Settings(home=home, data_dir=home, ray_address=ray), study, token, ray, stopping)
"""

#: Drives a study that is cancelled when its last pack has failed.
_FAILED = """
import sys, threading
from service import driver, verbs
from service.database import open_engine
from service.settings import Settings
from service.store import Store
home, study, token, ray = sys.argv[1:]
settings, failed = Settings(home=home, data_dir=home, ray_address=ray), driver.Driver.failed
def cancelled(*given):
    Store(open_engine(settings.database_url)).ask(study, verbs.cancel)
    failed(*given)
driver.Driver.failed = cancelled
driver.drive(settings, study, token, ray, threading.Event())
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The database of a home of its own."""
    opened = Store(open_engine(Settings(home=tmp_path).database_url))
    opened.migrate()
    Runners(opened).publish(catalogue())
    return opened


@pytest.fixture
def claim(store: Store, tmp_path: Path) -> Claim:
    """That of a study with one pack done and another one left, whose data set is broken."""
    store.add_study(resolve(_STUDY, catalogue()), _NOW)
    claim = store.claim(datetime.now(UTC), 600)
    assert claim is not None
    ledger = StudyLedger(store, claim.study_id, claim.token)
    trial, first = some_trial(arm="l4mom"), some_pack(arm="l4mom", lanes=1)
    left = replace(first, number=1, workload="mnist_mlp", stage=Stage.CONFIRM, batch=-1)
    ledger.add_plan([replace(trial, setting={}), replace(trial, workload="mnist_mlp", setting={})], [first, left])
    ledger.finish_pack(done(first), runs_of(first))
    file = tmp_path / "MNIST/raw/train-images-idx3-ubyte.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not MNIST")
    return claim


def _drive(script: str, folder: Path, claim: Claim, ray_address: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", script, str(folder), claim.study_id, claim.token, ray_address]
    driver = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert driver.returncode == 0, driver.stderr


def test_sigterm_does_not_keep_a_cancelled_study_from_its_report(
    store: Store, claim: Claim, tmp_path: Path, environment: dict[str, str], ray_address: str
) -> None:
    store.ask(claim.study_id, verbs.cancel)
    _drive(_ASKED, tmp_path, claim, ray_address, environment)
    assert _report(store, claim).warnings


def test_a_pack_that_fails_does_not_keep_a_cancelled_study_from_its_report(
    store: Store, claim: Claim, tmp_path: Path, environment: dict[str, str], ray_address: str
) -> None:
    _drive(_FAILED, tmp_path, claim, ray_address, environment)
    assert store.state(claim.study_id) is State.CANCELLING
    assert _report(store, claim).warnings


def _report(store: Store, claim: Claim) -> Report:
    return Report.model_validate_json(store.report_file(claim.study_id, "report.json"))
