"""A full study from POST to report, beside the same training in plain Ray Tune with OptunaSearch and MLflow.

Two workloads, three arms with 24 trials of a grid each, two fixed arms, five confirm seeds: 198 runs. Ours runs twice
in one service, first with an empty compile cache (cold), then with a filled one (warm). Then two peers run, each with
its own process and MLflow server: function trials, and a class with `reuse_actors=True`. Times start when the service,
or the peer's Ray cluster and MLflow server, is ready: they include our driver's imports, but not a peer's.

Peers record less than ours: at most 40 reports of a run instead of 200 points, test metrics only at the end, no
effective learning rates and no final parameters. A diverging run of theirs ends at its next report.

Usage: python benchmarks/study.py [--steps-scale X] [--trials N] [--seeds N] [--reports N] [--cpus N] [--peers KIND ...]
"""

import argparse
import os
import signal
import socket
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from outcome import ArmResult, Outcome
from peer_process import run_peer
from rich.console import Console

from service.cli.serve import run_service
from service.client.client import Client
from service.schemas.reports import ReportFormat
from service.settings import Settings
from service.states import State
from studies.analysis.statistics.averages import geometric_mean
from studies.reporting.report import Report
from studies.spec.definition import (
    ArmDefinition,
    ProtocolDefinition,
    RangeDefinition,
    StudyDefinition,
    WorkloadDefinition,
)
from studies.spec.study import StudySpec

SEARCHED, FIXED = ("sgd", "momentum", "adam"), ("l4adam", "l4mom")
LOW, HIGH = 1e-6, 1e1
#: Default lengths of the workloads.
STEPS = {"linear_regression": 20_000, "digits_mlp": 900}
GOALS = {"function": 10.0, "class": 3.0}


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The length of the study.

    Args:
        scale: Factor of the runs' steps.
        trials: Trials of each search.
        seeds: Confirm seeds.
    """

    scale: float
    trials: int
    seeds: int


def definition(name: str, lengths: Lengths) -> StudyDefinition:
    """Return the study's definition.

    Args:
        name: Its title.
        lengths: Its length.
    """
    searched = {"lr": RangeDefinition(low=LOW, high=HIGH)}
    return StudyDefinition(
        name=name,
        workloads=tuple(
            WorkloadDefinition(name=workload, steps=max(1, round(steps * lengths.scale)))
            for workload, steps in STEPS.items()
        ),
        arms=(
            *(ArmDefinition(name=arm) for arm in FIXED),
            *(ArmDefinition(name=arm, search=searched) for arm in SEARCHED),
        ),
        protocol=ProtocolDefinition(trials=lengths.trials, confirm_seeds=lengths.seeds),
    )


def run_ours(client: Client, study: StudyDefinition) -> tuple[StudySpec, Outcome]:
    """Post a study, wait for it and fetch its report.

    Args:
        client: Client of a running service.
        study: The study.
    """
    start = time.perf_counter()
    posted = client.submit(study)
    answer = deque(client.watch(posted.id), maxlen=1).pop()
    if answer.state is not State.SUCCEEDED:
        raise SystemExit(f"the study is {answer.state}: {answer.reason}")
    report = Report.model_validate_json(client.report(answer.id, ReportFormat.JSON))
    seconds = time.perf_counter() - start
    arms = tuple(
        ArmResult(
            workload=workload.workload,
            arm=arm.arm,
            lr=(arm.setting or {}).get("lr", 0.0),
            losses=tuple(float("inf") if seed.train_loss is None else seed.train_loss for seed in arm.seeds),
        )
        for workload in report.workloads
        for arm in workload.arms
    )
    return answer.spec, Outcome(seconds=seconds, runs=answer.progress.done, arms=arms)


def main() -> None:
    """Measure all, and print the tables."""
    parser = argparse.ArgumentParser(description="A whole study, ours beside plain Ray Tune.")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="of the runs' steps (default: 1)")
    parser.add_argument("--trials", type=int, default=24, help="of each search (default: 24)")
    parser.add_argument("--seeds", type=int, default=5, help="confirm seeds (default: 5)")
    parser.add_argument("--reports", type=int, default=40, help="most reports of a peer's run (default: 40)")
    parser.add_argument("--cpus", type=int, default=2, help="of all (default: 2)")
    parser.add_argument("--peers", nargs="*", choices=GOALS, default=list(GOALS), help="which (default: both)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all child processes are stopped
    lengths = Lengths(scale=options.steps_scale, trials=options.trials, seeds=options.seeds)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled")
        settings = _settings(folder, "ours", options.cpus)
        with run_service(settings, console), Client(settings.url) as client:
            spec, cold = run_ours(client, definition("Cold", lengths))
            spec, warm = run_ours(client, definition("Warm", lengths))
        outcomes = {"ours, cold": cold, "ours, warm": warm}
        for kind in options.peers:
            console.print(f"Running the peer with {kind} trials ...")
            outcomes[kind] = run_peer(kind, spec, options.reports, _settings(folder, kind, options.cpus))
    _show_times(outcomes, warm, cold)
    _show_results(outcomes)


def _settings(folder: Path, name: str, cpus: int) -> Settings:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    return Settings(home=folder / name, data_dir=folder / "data", port=ports[0], mlflow_port=ports[1], cpus=cpus)


def _show_times(outcomes: dict[str, Outcome], warm: Outcome, cold: Outcome) -> None:
    print(f"{'':24} {'seconds':>9} {'runs':>6} {'/ warm':>8} {'/ cold':>8}")
    for name, outcome in outcomes.items():
        to_warm, to_cold = outcome.seconds / warm.seconds, outcome.seconds / cold.seconds
        line = f"{name:24} {outcome.seconds:9.1f} {outcome.runs:6} {to_warm:8.2f} {to_cold:8.2f}"
        if name in GOALS:
            line += f"  goal {GOALS[name]:.0f} {'reached' if to_warm >= GOALS[name] else 'NOT REACHED'}"
        print(line)


def _show_results(outcomes: dict[str, Outcome]) -> None:
    """Print the selected learning rates and losses, which agree if the training does."""
    print("\nchosen learning rate and final training loss, geometric mean of the confirm seeds")
    print(f"{'':30} " + " ".join(f"{name:>22}" for name in outcomes))
    for rows in zip(*(outcome.arms for outcome in outcomes.values()), strict=True):
        print(f"{rows[0].workload + ' ' + rows[0].arm:30} " + " ".join(f"{_result(arm):>22}" for arm in rows))


def _result(arm: ArmResult) -> str:
    return f"{arm.lr:.6g}  {geometric_mean(arm.losses, 1e-30):.4e}"


if __name__ == "__main__":
    main()
