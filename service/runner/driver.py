"""The driver process: trains one claimed study, writes its report, and exits.

python -m service.runner.driver RAY_ADDRESS

After its imports it reads one line, STUDY_ID LEASE_TOKEN, from standard input: a runner keeps one driver on standby, so
that a study starts at once.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar, final

from service.errors import DiskFullError
from service.home import DISK_FULL_STATUS, is_no_space
from service.processes.json_logging import configure_json_logging
from service.runner.ledger import StudyLedger
from service.settings import Settings, read_settings
from service.states import State
from service.storage.engine import open_engine, retry_on_disconnect
from service.storage.entities import StudyRow
from service.storage.lifecycle.quotas import GpuShare, read_gpu_share
from service.storage.repositories.estimates import estimate_study
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.environment import Environment, current_environment, pip_constraints
from studies.errors import StoppedError, StudiesError
from studies.execution import ray_cluster, ray_tune
from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.execution.driver import Driver
from studies.execution.jobs import TrainingSite
from studies.execution.ray_cluster import machines
from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.reporting.report import Provenance, Report
from studies.validation.catalogue import Catalogue

Value = TypeVar("Value")

log = logging.getLogger("service.runner.driver")  # as a program its name is `__main__`

_CACHE_SECONDS = 0.5


def drive(settings: Settings, study_id: str, token: str, ray_address: str, stopping: threading.Event) -> None:
    """Train a study and write its report; the study has ended afterwards, unless it was paused or stopped.

    Unexpected errors, also of Ray, end this process; the study's next driver retries.

    Args:
        settings: The deployment's settings.
        study_id: The study.
        token: The claim's token.
        ray_address: The Ray cluster.
        stopping: Set when this process must stop.
    """
    store = Store(open_engine(settings.database_url))
    ledger = StudyLedger(store, study_id, token)
    with ray_cluster.connected(ray_address):
        try:
            _train_or_fail(settings, store, ledger, study_id, stopping)
        except StoppedError as stopped:
            log.info("%s", stopped)
            if retry_on_disconnect(lambda: store.state(study_id)) is State.CANCELLING:
                _save_partial_report(store, ledger, study_id)


def _train_or_fail(
    settings: Settings, store: Store, ledger: StudyLedger, study_id: str, stopping: threading.Event
) -> None:
    try:
        _train(settings, store, ledger, study_id, stopping)
    except StoppedError:
        raise
    except StudiesError as error:
        ledger.end(State.FAILED, str(error))


def _train(settings: Settings, store: Store, ledger: StudyLedger, study_id: str, stopping: threading.Event) -> None:
    row = retry_on_disconnect(lambda: store.study(study_id))
    runtime = current_environment()
    catalogue = retry_on_disconnect(lambda: _current_catalogue(Runners(store), settings))
    training_machines = catalogue.machines
    assert training_machines is not None  # a runner publishes it, or `_current_catalogue` adds it
    driver = Driver(
        spec=row.spec,
        ledger=ledger,
        site=TrainingSite(
            data_dir=settings.data_dir.absolute(),
            programs=(settings.home / "programs").absolute(),
            hardware=training_machines.hardware,
            workers=training_machines.workers,
            gpus=training_machines.gpus,
        ),
        parameters=ParameterStore(folder=settings.parameters_folder(study_id)),
        checkpoints=CheckpointStore(folder=settings.checkpoints_folder(study_id).absolute()),
        paused=_CachedRead(lambda: store.state(study_id) is State.PAUSED),
    )
    retry_on_disconnect(lambda: store.set_environment(study_id, runtime.model_dump()))
    ledger.keep_estimate(retry_on_disconnect(lambda: estimate_study(store, row.spec, catalogue)))
    ray_tune.run_experiment(
        driver,
        name=f"{study_id}-{row.attempt}",
        storage=settings.study_folder(study_id) / "tune",
        stopping=stopping.is_set,
        gpus_per_pack=settings.gpus_per_pack,
        max_packs=_pack_limit(settings, store, study_id),
    )
    if not driver.is_complete():
        log.info("paused")
        ledger.release()
        return
    report = _save_report(ledger, row, runtime, ledger.rows(series=True))
    ledger.end(State.SUCCEEDED, report.cut_short)


def _save_partial_report(store: Store, ledger: StudyLedger, study_id: str) -> None:
    """Save the report of a study that is being cancelled, if it has any runs."""
    rows = ledger.rows(series=True)
    if rows.runs:
        with contextlib.suppress(StoppedError):  # it took too long: the lease expired and a runner ended the study
            _save_report(ledger, retry_on_disconnect(lambda: store.study(study_id)), current_environment(), rows)


def _save_report(ledger: StudyLedger, row: StudyRow, runtime: Environment, rows: Rows) -> Report:
    provenance = Provenance(
        study_id=row.id,
        spec_hash=row.spec_hash,
        started_at=row.started_at or row.created_at,
        ended_at=datetime.now(UTC),
        versions=runtime.versions,
        commit=runtime.commit,
        hardware=runtime.hardware,
        elapsed_seconds=ledger.elapsed_seconds(),
        estimate=ledger.estimate(),
    )
    report = build_report(row.spec, rows, provenance)
    ledger.save_report(render(report, rows) | {"constraints.txt": pip_constraints().encode()})
    return report


def _pack_limit(settings: Settings, store: Store, study_id: str) -> Callable[[float], int | None]:
    """Return a function from the GPUs of each pack to the study's limit of concurrent packs; None for no limit."""

    def read() -> GpuShare:
        with store.reading() as connection:
            return read_gpu_share(connection, study_id, datetime.now(UTC))

    gpus, share = settings.gpus_per_owner, _CachedRead(read)
    return lambda gpus_per_pack: None if gpus is None or gpus_per_pack == 0 else share().max_packs(gpus, gpus_per_pack)


def _current_catalogue(runners: Runners, settings: Settings) -> Catalogue:
    """Return the catalogue with the current machines; those of an external cluster change, and are published again."""
    catalogue = runners.catalogue()
    if settings.ray_address:
        current = catalogue.model_copy(update={"machines": machines(settings.gpus_per_pack)})
        if current != catalogue:
            runners.publish(current)
        return current
    return catalogue


@final
class _CachedRead(Generic[Value]):
    """A value from the database, cached for half a second.

    Args:
        read: Reads the value.
    """

    def __init__(self, read: Callable[[], Value]) -> None:
        """Read nothing before the first call."""
        self._read = read
        self._value: Value | None = None
        self._expires = 0.0

    def __call__(self) -> Value:
        """Return the value, read again if the cached one is too old."""
        if self._value is None or time.monotonic() >= self._expires:
            self._value = retry_on_disconnect(self._read)
            self._expires = time.monotonic() + _CACHE_SECONDS
        return self._value


def main(arguments: list[str]) -> int:
    """Drive the study named on standard input; exit if the input ends first.

    Args:
        arguments: The address of the Ray cluster.

    Returns:
        The exit status: `DISK_FULL_STATUS` if a disk was full, since the log cannot tell that then.
    """
    assignment = sys.stdin.readline().split()
    if not assignment:
        return 0
    study_id, token = assignment
    settings = read_settings()
    _redirect_output(settings.driver_log(study_id))
    configure_json_logging("driver", study=study_id)
    for name in ("optuna", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    log.info("process %s drives the study", os.getpid())
    try:
        drive(settings, study_id, token, arguments[0], stopping)
    except (DiskFullError, OSError) as error:
        if isinstance(error, OSError) and not is_no_space(error):
            raise
        log.exception("the study cannot go on while a disk is full")
        return DISK_FULL_STATUS
    return 0


def _redirect_output(file: Path) -> None:
    """Append all output of this process and its children to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as opened:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(opened.fileno(), stream.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
