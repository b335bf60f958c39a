"""What a run costs besides its training: a study of runs of one step, on the real service, from POST to report.

Usage: python benchmarks/overhead.py [--runs N] [--sampler grid|random|tpe]

The service is started as `l4-studies serve` does it, with a home of its own that is removed afterwards. The study has
workloads with different options, three searched arms of 100 trials each and a fixed one, and 10 confirm seeds: 341 runs
for each workload. Printed are the time from POST to report, the driver's memory above that at its first pack, and how
much later MLflow is complete. The steps themselves and the start of driver and workers are counted in.
"""

import argparse
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from mlflow.tracking import MlflowClient
from rich.console import Console

from service.client import Client
from service.errors import RequestRefusedError
from service.serve import running
from service.settings import Settings

#: With the quarter more of one extension, since all trials of a search are equally good, 100 trials a search.
TRIALS = 75
CONFIRM_SEEDS = 10
RUNS_A_WORKLOAD = 3 * (100 + CONFIRM_SEEDS) + 1 + CONFIRM_SEEDS
POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a study.

    Args:
        runs: How many it had.
        report: Seconds from POST to report.
        tracked: Seconds from POST until MLflow was complete.
        memory: Bytes of the driver at its peak, above those at its first pack.
    """

    runs: int
    report: float
    tracked: float
    memory: int


def study(runs: int, sampler: str) -> dict[str, Any]:
    """Return a study of about so many runs of one step."""
    count = max(1, round(runs / RUNS_A_WORKLOAD))
    options = [
        {"workload": "digits_mlp", "options": {"hidden": 8 + place}}
        if place % 2
        else {"workload": "linear_regression", "options": {"condition": 10.0 + place}}
        for place in range(count)
    ]
    return {
        "name": f"overhead of {count * RUNS_A_WORKLOAD} runs",
        "workloads": [{"name": f"w{place}", "steps": 1, **each} for place, each in enumerate(options)],
        "arms": [
            {"name": "l4adam"},
            *({"name": name, "search": {"lr": {"low": 1e-6, "high": 1e-2}}} for name in ("sgd", "momentum", "adam")),
        ],
        "protocol": {"sampler": sampler, "trials": TRIALS, "confirm_seeds": CONFIRM_SEEDS},
    }


def measure(settings: Settings, definition: dict[str, Any]) -> Measured:
    """Post a study, and wait for its report and for MLflow."""
    with Client(settings.url) as client:
        posted = time.perf_counter()
        study_id = client.submit(definition).id
        first = peak = 0
        while not _has_report(client, study_id):
            time.sleep(POLL_SECONDS)
            peak = max(peak, _driver_bytes(study_id))
            first = first or (peak if (settings.home / "studies" / study_id / "tune").exists() else 0)
        report = time.perf_counter() - posted
        runs = client.study(study_id).progress.done
        tracking = MlflowClient(settings.tracking_uri)
        while not _is_tracked(tracking, study_id):
            time.sleep(2 * POLL_SECONDS)
        return Measured(runs=runs, report=report, tracked=time.perf_counter() - posted, memory=peak - first)


def _has_report(client: Client, study_id: str) -> bool:
    try:
        client.report(study_id)
    except RequestRefusedError:
        return False
    return True


def _is_tracked(tracking: MlflowClient, study_id: str) -> bool:
    (experiment,) = tracking.search_experiments(filter_string=f"name LIKE '%[{study_id}]'")
    ids = [experiment.experiment_id]
    parents = tracking.search_runs(ids, filter_string=f"tags.`l4.run` = '{study_id}'")
    return [parent.info.status for parent in parents] == ["FINISHED"]


def _driver_bytes(study_id: str) -> int:
    """Return the most memory that the driver has had so far, 0 where there is none."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command[1:4] == ["-m", "service.driver", study_id]:
            status = Path(f"/proc/{process.pid}/status").read_text()
            return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return 0


def main() -> None:
    """Print the figures of one study."""
    parser = argparse.ArgumentParser(description="What a run costs besides its training.")
    parser.add_argument("--runs", type=int, default=1000, help="about how many runs (default: 1000)")
    parser.add_argument("--sampler", choices=("grid", "random", "tpe"), default="grid", help="default: grid")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), data_dir=Path(folder, "data"), port=_free(), mlflow_port=_free())
        with running(settings, Console(quiet=True)):
            found = measure(settings, study(options.runs, options.sampler))
    behind = found.tracked - found.report
    print(f"{found.runs} runs, {options.sampler}")
    print(f"from POST to report {found.report:8.1f} s   {found.report / found.runs * 1e3:7.1f} ms a run")
    print(f"MLflow later by     {behind:8.1f} s   {behind / found.runs * 1e3:7.1f} ms a run")
    print(f"driver's memory     {found.memory / 2**20:8.0f} MiB above its first pack")


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
