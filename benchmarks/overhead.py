"""The service's overhead for each run: a study of runs of one step, from POST to report.

Usage: python benchmarks/overhead.py [--runs N] [--sampler grid|random|tpe] [--only-report]

The service starts as with `l4-studies serve`, in a temporary home. The study has workloads with different options,
three searched arms of 100 trials each and a fixed one, and 10 confirm seeds: 341 runs for each workload. The output is
the time from POST to report, the driver's memory above that at its first pack, the time until MLflow is complete, and
the requests of a run to MLflow. Times include the steps and the start of the workers, but not the start of the driver,
since an idle service keeps one ready.
"""

import argparse
import contextlib
import logging
import os
import re
import socket
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient
from rich.console import Console

from service.cli.serve import child_environment, run_service
from service.client.client import Client
from service.settings import Settings
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from service.tracking.mlflow import StudyTracker, create_experiment
from studies.spec.parameters import Stage

#: 100 trials a search in the end: all trials are equally good, so the range is extended once, by a quarter more trials.
TRIALS = 75
CONFIRM_SEEDS = 10
RUNS_A_WORKLOAD = 3 * (100 + CONFIRM_SEEDS) + 1 + CONFIRM_SEEDS
#: Seconds before the study is posted, in which the service starts its first driver.
IDLE = 10.0
#: Number of runs of each stage whose requests are counted.
RECORDED = 20


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurements of a study.

    Args:
        study_id: Its id.
        runs: Its number of runs.
        report: Seconds from POST to report.
        memory: Peak memory of the driver in bytes, above that at its first pack.
    """

    study_id: str
    runs: int
    report: float
    memory: int


def study(runs: int, sampler: str) -> dict[str, Any]:
    """Return the definition of a study with about this many runs of one step."""
    count = max(1, round(runs / RUNS_A_WORKLOAD))
    options = [
        {"workload": "digits_mlp", "options": {"hidden": 8 + index}}
        if index % 2
        else {"workload": "linear_regression", "options": {"condition": 10.0 + index}}
        for index in range(count)
    ]
    return {
        "name": f"overhead of {count * RUNS_A_WORKLOAD} runs",
        "workloads": [{"name": f"w{index}", "steps": 1, **workload} for index, workload in enumerate(options)],
        "arms": [
            {"name": "l4adam"},
            *({"name": name, "search": {"lr": {"low": 1e-6, "high": 1e-2}}} for name in ("sgd", "momentum", "adam")),
        ],
        "protocol": {"sampler": sampler, "trials": TRIALS, "confirm_seeds": CONFIRM_SEEDS},
    }


def measure(settings: Settings, definition: dict[str, Any]) -> Measurement:
    """Post a study and wait for its report."""
    with Client(settings.url) as client:
        posted = time.perf_counter()
        study_id = client.submit(definition).id
        first = peak = runs = 0
        for status in client.watch(study_id):
            peak, runs = max(peak, _driver_bytes(settings, study_id)), status.progress.done
            first = first or (peak if runs else 0)
        client.report(study_id)
        report = time.perf_counter() - posted
    return Measurement(study_id=study_id, runs=runs, report=report, memory=peak - first)


def mlflow_delay(settings: Settings, study_id: str) -> float:
    """Wait until MLflow has all of a study, and return the seconds."""
    start = time.perf_counter()
    tracking = MlflowClient(settings.tracking_uri)
    while not _is_tracked(tracking, study_id):
        time.sleep(0.5)
    return time.perf_counter() - start


def requests(settings: Settings, study_id: str, stage: Stage) -> tuple[Counter[str], float]:
    """Record some runs of a stage in another experiment; return the requests and the seconds of one run."""
    counts: Counter[str] = Counter()

    def count_request(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) > 4:
            method, path = str(record.args[3]), str(record.args[4])
            counts[f"{method} {'artifact' if 'artifacts' in path else re.sub('[?].*', '', path)}"] += 1
        return False

    store = Store(open_engine(settings.database_url))
    runs = [run for run in store.rows(study_id, series=True).runs if run.stage is stage][:RECORDED]
    uri, copy_id, spec = settings.tracking_uri, f"{stage} once more", store.study(study_id).spec
    experiment_id = create_experiment(uri=uri, study_id=copy_id, spec=spec)
    tracker = StudyTracker(uri=uri, study_id=copy_id, spec=spec, experiment_id=experiment_id)
    parameters = settings.home / "parameters.pt"
    parameters.write_bytes(bytes(10_000))
    logger = logging.getLogger("urllib3.connectionpool")
    logger.setLevel(logging.DEBUG)
    logger.addFilter(count_request)
    start = time.perf_counter()
    for run in runs:
        tracker.record(run, {"lr": 0.1}, parameters)
    seconds = time.perf_counter() - start
    logger.removeFilter(count_request)
    return Counter({name: count // len(runs) for name, count in counts.items()}), seconds / len(runs)


def _is_tracked(tracking: MlflowClient, study_id: str) -> bool:
    ids = [
        experiment.experiment_id
        for experiment in tracking.search_experiments(filter_string=f"name LIKE '%[{study_id}]'")
    ]
    parents = tracking.search_runs(ids, filter_string=f"tags.`l4.run` = '{study_id}'") if ids else []
    return [parent.info.status for parent in parents] == ["FINISHED"]


def _driver_bytes(settings: Settings, study_id: str) -> int:
    """Return the driver's peak memory so far; 0 if it is not running."""
    with contextlib.suppress(OSError):  # it has not started, or has ended
        log_text = settings.driver_log(study_id).read_text()
        if process := re.search(r"process (\d+) drives", log_text):
            status = Path(f"/proc/{process[1]}/status").read_text()
            return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return 0


def main() -> None:
    """Print the figures of one study."""
    parser = argparse.ArgumentParser(description="What a run costs besides its training.")
    parser.add_argument("--runs", type=int, default=1000, help="about how many runs (default: 1000)")
    parser.add_argument("--sampler", choices=("grid", "random", "tpe"), default="grid", help="default: grid")
    parser.add_argument("--only-report", action="store_true", help="do not wait for MLflow")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), data_dir=Path(folder, "data"), port=_free(), mlflow_port=_free())
        with run_service(settings, Console(quiet=True)):
            os.environ.update(child_environment(settings))  # the recorder's environment
            time.sleep(IDLE)
            measurement = measure(settings, study(options.runs, options.sampler))
            print(f"{measurement.runs} runs")
            _show("from POST to report", measurement.report, measurement.runs)
            print(f"driver's memory     {measurement.memory / 2**20:8.0f} MiB above its first pack", flush=True)
            if not options.only_report:
                _show("MLflow later by", mlflow_delay(settings, measurement.study_id), measurement.runs)
                _show_requests(settings, measurement.study_id)


def _show(label: str, seconds: float, runs: int) -> None:
    print(f"{label:20}{seconds:8.1f} s   {seconds / runs * 1e3:7.1f} ms a run", flush=True)


def _show_requests(settings: Settings, study_id: str) -> None:
    for stage in Stage:
        counts, seconds = requests(settings, study_id, stage)
        listed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        print(f"a {stage} run to MLflow: {seconds * 1e3:.0f} ms, {listed}")


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
