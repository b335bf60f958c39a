"""A driver that cannot write, since the disk is full, says so to its runner by how it ends: its log cannot."""

import os
import sys
import time
from datetime import UTC, datetime

import pytest

from service.home import DISK_FULL_STATUS
from service.processes.child_process import ChildProcess, ProcessSpec
from service.settings import Settings
from service.storage.engine import open_engine
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue, Machines
from tests.support.services.small_disk import SmallDisk

pytestmark = pytest.mark.slow

# the driver's own main, with less patience and without Ray: what it does first is to store the study's environment
_DRIVER = """
import contextlib, sys
from service.runner import driver
from service.storage import engine
engine._RETRY_TIMEOUT_SECONDS = 1.0
driver.ray_cluster.connected = contextlib.nullcontext
sys.exit(driver.main(["none"]))
"""


def test_a_driver_ends_with_the_status_of_a_full_disk(
    small_disk: SmallDisk, spec: StudySpec, catalogue: Catalogue
) -> None:
    settings = Settings(home=small_disk.folder)
    engine = open_engine(settings.database_url)
    store = Store(engine)
    store.migrate()
    machines = Machines(hardware="cpu", code="", workers=1, gpus=0.0)
    Runners(store).publish(catalogue.model_copy(update={"machines": machines}))
    store.add_study(spec, datetime.now(UTC))
    claim = store.claim(datetime.now(UTC), 1e6)
    assert claim is not None
    settings.driver_log(claim.study_id).parent.mkdir(parents=True)
    # the interpreter's option, by which the runner starts drivers, is what counts
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    child = ChildProcess(
        ProcessSpec(
            name="driver",
            arguments=(sys.executable, "-u", "-c", _DRIVER),
            environment={**environment, "L4_HOME": str(settings.home)},
            log=small_disk.folder / "logs" / "driver.log",
        )
    )
    small_disk.fill()
    child.write_line(f"{claim.study_id} {claim.token}")
    deadline = time.monotonic() + 300
    while child.exit_status is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    child.wait()
    small_disk.free()
    engine.dispose()
    assert child.exit_status == DISK_FULL_STATUS
