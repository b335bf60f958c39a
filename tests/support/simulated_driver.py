"""A study with the real driver and a real database, whose pack results are simulated instead of trained."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from service.runner.ledger import StudyLedger
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.execution.driver import Driver
from studies.execution.jobs import Job, PackResult, TrainingSite
from studies.records.rows import Mode, Rows
from studies.registry import build_catalogue
from studies.spec.study import StudySpec
from studies.training.measurements import Measurement
from studies.training.task import LaneTask
from studies.validation.resolver import resolve
from tests.support.training.throughput import next_pack

#: Reported seconds of every pack.
PACK_SECONDS = 10.0


def build_spec(budget: dict[str, Any] | None = None, **protocol: Any) -> StudySpec:
    """Return a study of two workloads with one fixed and two searched arms, the best rate of one beyond its range."""
    body = {
        "name": "pretended",
        "workloads": [{"name": "linear_regression", "steps": 40}, {"name": "digits_mlp", "steps": 100}],
        "arms": [
            {"name": "l4mom"},
            {"name": "sgd", "search": {"lr": {"low": 1e-5, "high": 1e-3}}},
            {"name": "adam", "search": {"lr": {"low": 1e-3, "high": 1e-1}}},
        ],
        "protocol": {"sampler": "random", "trials": 6, "batch": 3, "confirm_seeds": 4, "budget": budget} | protocol,
    }
    return resolve(body, build_catalogue())


def open_study(folder: Path, spec: StudySpec) -> tuple[Store, StudyLedger]:
    """Return a database with the study, and the ledger of a claim of it."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(open_engine(f"sqlite:///{folder / 'studies.db'}"))
    store.migrate()
    now = datetime.now(UTC)
    store.add_study(spec, now)
    claim = store.claim(now, 1e6)
    assert claim is not None
    return store, StudyLedger(store, claim.study_id, claim.token)


def driver(spec: StudySpec, ledger: StudyLedger, folder: Path, *, gpus: float = 0.0) -> Driver:
    """Return a driver of the study, as after a restart."""
    return Driver(
        spec=spec,
        ledger=ledger,
        site=TrainingSite(data_dir=folder, programs=folder, hardware="here", workers=2, gpus=gpus),
        parameters=ParameterStore(folder=folder / "weights"),
        checkpoints=CheckpointStore(folder=folder / "checkpoints"),
        paused=lambda: False,
    )


def simulate_result(job: Job) -> PackResult:
    """Return results of a pack whose losses depend on the distance of the learning rate from 0.01."""
    return PackResult(
        measurements=tuple(_measured(lane, job.task.steps) for lane in job.task.lanes),
        parameters=tuple(b"" for _ in job.task.lanes),
        mode=Mode.EAGER,
        seconds=PACK_SECONDS,
        host="here",
    )


def _measured(lane: LaneTask, steps: int) -> Measurement:
    loss = 0.01 + math.log10(lane.setting.get("lr", 0.1) / 0.01) ** 2 + 1e-4 * Random(lane.seed).random()
    return Measurement(
        steps=steps,
        diverged=False,
        stopped=False,
        start_loss=1.0,
        train_loss=loss,
        metrics={},
        rungs=(),
        series=(),
        parameters={},
    )


def run_packs(
    source: Driver,
    *,
    packs: int | None = None,
    order: Random | None = None,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Complete packs, all or a number of them, in order or, with two workers, in random order."""
    training: list[Job] = []
    while packs != 0:
        while len(training) < (1 if order is None else 2) and (job := next_pack(source, 2)) is not None:
            training.append(job)
        if not training:
            assert source.is_finished()
            return
        job = training.pop(0 if order is None else order.randrange(len(training)))
        source.record_result(job.number, simulate_result(job))
        after()
        packs = None if packs is None else packs - 1


def drive_to_end(spec: StudySpec, folder: Path) -> Rows:
    """Run the study to its end, and return its rows."""
    _, ledger = open_study(folder, spec)
    run_packs(driver(spec, ledger, folder))
    return ledger.rows()
