"""A driver that is asked to stop: a study that is being cancelled gets its report, whatever else happens meanwhile."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.entities import Claim
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies import registry
from studies.registry import build_catalogue
from studies.reporting.report import Report
from studies.spec.parameters import Stage
from studies.validation.resolver import resolve
from tests.unit.service.runner.test_ledger import done, runs_of, some_pack, some_trial

pytestmark = pytest.mark.slow

_STUDY = {
    "name": "cut",
    "workloads": [{"name": "digits_mlp", "steps": 100}, {"name": "mnist_mlp", "steps": 5}],
    "arms": [{"name": "l4mom"}],
    "protocol": {"confirm_seeds": 2},
}

#: Drives a study that is cancelled when its last pack was trained, or has failed, and gets SIGTERM while it reports.
_DRIVE = """
import os, signal, sys, threading
from service.runner import driver
from service.storage.lifecycle import commands
from service.storage.engine import open_engine
from service.settings import Settings
from service.storage.repositories.studies import Store
home, study, token, ray, when = sys.argv[1:]
settings = Settings(home=home, data_dir=home, ray_address=ray, gpus_per_pack=0)
stopping, render, do = threading.Event(), driver.render, getattr(driver.Driver, when)
def cancelled(*given):
    Store(open_engine(settings.database_url)).execute(study, commands.cancel)
    return do(*given)
def asked(*given):
    os.kill(os.getpid(), signal.SIGTERM)
    return render(*given)
setattr(driver.Driver, when, cancelled)
driver.render = asked
signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
driver.drive(settings, study, token, ray, stopping)
assert stopping.is_set()
"""


def begun(store: Store, left: str) -> Claim:
    """Return the claim of a study with one pack done, and one left."""
    Runners(store).publish(build_catalogue())
    store.add_study(resolve(_STUDY, build_catalogue()), datetime.now(UTC))
    claim = store.claim(datetime.now(UTC), 600)
    assert claim is not None
    ledger = StudyLedger(store, claim.study_id, claim.token)
    setting = {each.name: each.default for each in registry.load_optimizer("l4mom").hyperparameters}
    trial, first = replace(some_trial(arm="l4mom"), setting=setting), some_pack(arm="l4mom", lanes=1)
    last = replace(first, number=1, workload=left, stage=Stage.CONFIRM, batch=-1)
    ledger.add_plan([trial, replace(trial, workload="mnist_mlp")], [first, last])
    ledger.finish_pack(done(first), runs_of(first))
    return claim


@pytest.mark.parametrize(("when", "left"), [("record_result", "digits_mlp"), ("handle_failure", "mnist_mlp")])
def test_a_cancelled_study_gets_its_report(
    when: str, left: str, store: Store, tmp_path: Path, environment: dict[str, str], ray_address: str
) -> None:
    file = tmp_path / "MNIST/raw/train-images-idx3-ubyte.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not MNIST")
    claim = begun(store, left)
    command = [sys.executable, "-c", _DRIVE, str(tmp_path), claim.study_id, claim.token, ray_address, when]
    driver = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert driver.returncode == 0, driver.stderr
    assert store.state(claim.study_id) is State.CANCELLING
    assert Report.model_validate_json(store.report_file(claim.study_id, "report.json")).warnings
