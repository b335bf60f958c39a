"""What every study file that comes with the project must do: it is accepted, planned, and runs."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import torch

from service.api.parsers import parse_yaml
from service.runner.ledger import StudyLedger
from service.schemas.studies import StudyResponse
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies import registry
from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.execution.driver import Driver
from studies.execution.jobs import TrainingSite
from studies.execution.worker import train_pack
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from studies.validation.resolver import resolve
from studies.workloads._base import Data, DataFile, Options, Workload
from tests.conformance.api.stored_studies import YAML, claimed
from tests.support.paths import ROOT, data_dir
from tests.support.planted_studies import provenance
from tests.support.training.small_workloads import with_small_splits
from tests.support.training.throughput import next_pack

FILES = {
    **{file.stem: file for file in (ROOT / "studies" / "definitions").glob("*.yaml")},
    **{f"results-{file.parent.name}": file for file in (ROOT / "docs" / "results").glob("*/study.yaml")},
}
#: Runs of a study before any range is extended, and the steps of a run on each of its workloads. A fixed arm has a
#: search run a search seed and the confirm runs, a searched one that many a trial.
PLANNED = {
    "quickstart": (2 * (2 * (1 + 10) + 3 * (15 + 10)), [1000, 30 * 18]),
    "mnist-l4": (2 * (1 + 3), [10 * 937]),
    "paper-figure2-regression": (2 * (4 * (5 + 10) + 3 * (5 * 21 + 10)), [20_000] * 2),
    "paper-table2-mnist": (2 * (1 + 10) + 3 * (13 + 10), [30 * 937]),
    "paper-mnist-batch-sizes": (4 * (2 * (1 + 10) + 2 * (13 + 10)), [30 * 7500, 30 * 3750, 30 * 1875, 30 * 937]),
    "paper-figure5-cifar10": (3 * (1 + 5) + 2 * (9 + 5), [250 * 390]),
    "paper-figure6-dnc": (4 * (2 * (1 + 10) + 3 * (9 + 10)), [100_000] * 4),
    "paper-fashion-mnist": (2 * (1 + 10) + 4 * (9 + 10), [30 * 550]),
    "paper-table1-overview": (5 * (2 * (1 + 10) + 2 * (17 + 10)), [20_000, 30 * 937, 100_000, 250 * 390, 30 * 550]),
    "results-mnist-searched": (4 * (1 + 5) + 2 * (25 + 5), [30 * 937]),
    "results-mnist-batch-sizes": (4 * (2 * (1 + 3) + 2 * (7 + 3)), [5 * 7500, 5 * 3750, 5 * 1875, 5 * 937]),
    "results-dnc-searched": (2 * (1 + 3) + 3 * (8 + 3), [100_000]),
    "results-mnist": (4 * (1 + 3), [30 * 937]),
    "results-regression": (2 * (4 * (1 + 10) + 3 * (21 + 10)), [20_000] * 2),
    "results-regression-fixed": (2 * (1 + 10), [20_000]),
    "results-dnc": (6 * (1 + 3), [2000]),
    "results-cifar10": (4 * (1 + 1), [2 * 78]),
    "results-fashion-mnist": (2 * (1 + 3) + 4 * (5 + 3), [5 * 100]),
}
each_file = pytest.mark.parametrize("name", sorted(FILES))
#: Those that train in seconds; the others are trained by `make test-slow`.
QUICK = ("quickstart", "paper-figure2-regression")
trained_file = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in sorted(FILES)]
)


@each_file
def test_is_accepted_and_planned(name: str, empty_api: httpx.Client, store: Store) -> None:
    Runners(store).publish(build_catalogue())
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)
    answer = empty_api.post("/studies", content=FILES[name].read_bytes(), headers=YAML)
    assert answer.status_code == 202, answer.text
    study = StudyResponse.model_validate_json(answer.content)
    assert (study.progress.total, [each.steps for each in study.spec.workloads]) == PLANNED[name]
    assert study.spec.protocol.scale == 1


def shortest(name: str) -> StudySpec:
    """Return a study of one step, two trials and one seed, on the part of the data that is here."""
    body = cast(dict[str, Any], parse_yaml(FILES[name].read_bytes()))
    body["protocol"]["scale"] = 1e-6
    for chosen in body["workloads"]:
        options = {option.name for option in registry.load_workload(chosen.get("workload", chosen["name"])).options}
        part = {"train_examples": 10_000} if "train_examples" in options else {}
        chosen["options"] = chosen.get("options", {}) | part
    return resolve(body, build_catalogue())


def read_once(workload: Workload) -> Workload:
    """Return a workload that reads its data only once, where all seeds have the same."""
    if workload.data_per_seed:
        return workload
    read: dict[str, Data] = {}

    def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
        key = str(options.get("train_examples"))
        if key not in read:
            read[key] = workload.data(options, data_dir, generator)
        return read[key]

    def no_files(options: Options) -> tuple[DataFile, ...]:
        return ()

    return replace(workload, data=data, files=no_files)


@trained_file
def test_runs_at_a_tiny_scale(name: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = shortest(name)
    workloads = {each.workload: registry.load_workload(each.workload) for each in spec.workloads}
    found = data_dir(tuple(file for each in spec.workloads for file in workloads[each.workload].files(each.options)))
    if found is None:
        pytest.skip("its data sets are not here; set L4_DATA_DIR to a directory that has them")
    quick = {key: read_once(with_small_splits(each)) for key, each in workloads.items()}
    monkeypatch.setattr(registry, "load_workload", quick.__getitem__)

    claim = claimed(store, spec)
    ledger = StudyLedger(store, claim.study_id, claim.token)
    place = TrainingSite(data_dir=found, programs=tmp_path / "programs", hardware="here")
    source = Driver(
        spec=spec,
        ledger=ledger,
        site=place,
        parameters=ParameterStore(folder=tmp_path / "weights"),
        checkpoints=CheckpointStore(folder=tmp_path / "checkpoints"),
        paused=lambda: False,
    )
    while not source.is_finished():
        job = next_pack(source)
        assert job is not None
        source.record_result(job.number, train_pack(job, "cpu"))

    rows = ledger.rows(series=True)
    confirmed = {(run.workload, run.arm) for run in rows.runs if run.stage is Stage.CONFIRM}
    assert confirmed == {(workload.name, arm.name) for workload in spec.workloads for arm in spec.arms}
    report = build_report(spec, rows, provenance(spec))
    assert report.complete
    assert any("SHORTENED" in warning for warning in report.warnings)
