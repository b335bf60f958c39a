"""A study driven with little memory: python -m tests.support.training.low_memory_driver FOLDER

Prints the lanes of the packs that were tried, the runs that there are, those that there should be, and the lanes of the
largest pack that was trained, as JSON, a line each.
"""

import json
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

from service.runner.ledger import StudyLedger
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.errors import OutOfMemoryError
from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.execution.driver import Driver
from studies.execution.jobs import FailureKind, TrainingSite
from studies.execution.worker import train_pack
from studies.registry import build_catalogue
from studies.validation.resolver import resolve
from tests.support.progress import progress_of
from tests.support.training.throughput import next_pack

#: What a pack may take beyond what the process has by then, in bytes: four lanes fit in, eight do not.
LEFT = 300 * 2**20


def main(folder: Path) -> None:
    """Drive a study of a wide net."""
    spec = resolve(
        {
            "name": "large",
            "workloads": [{"name": "digits_mlp", "steps": 1, "options": {"hidden": 30_000}}],
            "arms": [{"name": "momentum", "search": {"lr": {}}}],
            "protocol": {"trials": 8, "batch": 8, "confirm_seeds": 6},
        },
        build_catalogue(),
    )
    store = Store(open_engine(f"sqlite:///{folder / 'studies.db'}"))
    store.migrate()
    store.add_study(spec, datetime.now(UTC))
    claim = store.claim(datetime.now(UTC), 1000)
    assert claim is not None
    ledger = StudyLedger(store, claim.study_id, claim.token)
    place = TrainingSite(data_dir=folder, programs=folder / "programs", hardware="here")
    source = Driver(
        spec=spec,
        ledger=ledger,
        site=place,
        parameters=ParameterStore(folder=folder / "parameters"),
        checkpoints=CheckpointStore(folder=folder / "checkpoints"),
        paused=lambda: False,
    )
    tried: list[int] = []
    while not source.is_finished():
        job = next_pack(source, lanes=8)
        assert job is not None
        tried.append(len(job.task.lanes))
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + LEFT, hard))
        try:
            trained = train_pack(job, "cpu")
        except OutOfMemoryError as error:
            source.handle_failure(job.number, str(error), FailureKind.MEMORY)
        else:
            source.record_result(job.number, trained)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    rows = ledger.rows()
    found = progress_of(spec, rows)
    for value in (tried, found.done, found.total, max(len(pack.lanes) for pack in rows.packs)):
        sys.stdout.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
