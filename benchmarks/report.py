"""The time to compute the report of a large study, and the size of its page: `python -m benchmarks.report`.

The rows are synthetic: log losses are a quadratic of the logarithm of the learning rate, with noise over seeds.
"""

import argparse
import math
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from studies.records.rows import Lane, Outcome, Pack, Rows, Run, Series, Trial
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.reporting.report import Provenance
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from studies.validation.resolver import resolve

SEEDS = 20
SEARCHED, FIXED = ("adam", "momentum", "sgd"), ("l4adam", "l4mom")
WORKLOADS = ("digits_mlp", "mnist_mlp")
#: Number of points of each series.
POINTS = 200
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def study(runs: int) -> StudySpec:
    """Return a study of about this many runs.

    Args:
        runs: Number of runs of all arms, workloads and stages.
    """
    confirm = len(WORKLOADS) * len((*SEARCHED, *FIXED)) * SEEDS
    trials = max(2, (runs - confirm) // (len(WORKLOADS) * len(SEARCHED)))
    body = {
        "name": f"Benchmark of {runs} runs",
        "workloads": [{"name": name, "steps": 20_000} for name in WORKLOADS],
        "arms": [*({"name": name} for name in FIXED), *({"name": name, "search": {"lr": {}}} for name in SEARCHED)],
        "protocol": {"sampler": "random", "trials": trials, "confirm_seeds": SEEDS},
    }
    return resolve(body, build_catalogue())


def synthetic_rows(spec: StudySpec) -> Rows:
    """Return synthetic rows of a finished study, with series for all runs.

    Args:
        spec: The study.
    """
    generator = np.random.default_rng(0)
    trials: list[Trial] = []
    packs: list[Pack] = []
    runs: list[Run] = []
    for pair, (workload, arm) in enumerate(spec.pairs):
        searched = spec.arm(arm).search
        low, high = (searched["lr"].low, searched["lr"].high) if searched else (0.1, 0.1)
        rates = np.sort(10.0 ** generator.uniform(math.log10(low), math.log10(high), spec.protocol.trials))
        rates = rates if searched else rates[:1]
        best = rates[len(rates) // 2]
        search_lanes = [Lane(trial=number, seed=0) for number in range(len(rates))]
        confirm_lanes = [Lane(trial=len(rates) // 2, seed=seed) for seed in spec.confirm_seeds]
        trials += [
            Trial(
                workload=workload, arm=arm, number=number, batch=0, setting={**spec.arm(arm).fixed, "lr": float(rate)}
            )
            for number, rate in enumerate(rates)
        ]
        for stage, lanes in ((Stage.SEARCH, search_lanes), (Stage.CONFIRM, confirm_lanes)):
            number = len(packs)
            packs.append(
                Pack(
                    number=number,
                    workload=workload,
                    arm=arm,
                    stage=stage,
                    batch=0,
                    lanes=tuple(lanes),
                    done=True,
                    seconds=10.0,
                    host="made up",
                )
            )
            for index, lane in enumerate(lanes):
                distance = math.log10(rates[lane.trial] / best) ** 2
                loss = 10.0 ** (distance - 2 - 0.1 * pair + 0.1 * float(generator.standard_normal()))
                runs.append(_run(workload, arm, stage, number, index, lane, loss))
    return Rows(trials=tuple(trials), packs=tuple(packs), runs=tuple(runs))


_STEPS = tuple(range(100, 20_001, 20_000 // POINTS))


def _run(workload: str, arm: str, stage: Stage, pack: int, index: int, lane: Lane, loss: float) -> Run:
    values = tuple(2.0 * (loss / 2.0) ** (step / 20_000) for step in _STEPS)
    names = ["train_loss", "effective_lr", "validation_loss", "validation_accuracy"]
    names += ["test_loss", "test_accuracy"] if stage is Stage.CONFIRM else []
    return Run(
        workload=workload,
        arm=arm,
        trial=lane.trial,
        seed=lane.seed,
        stage=stage,
        outcome=Outcome.FINISHED,
        steps=20_000,
        start_loss=2.0,
        train_loss=loss,
        metrics=dict.fromkeys((name for name in names[2:]), loss),
        pack=pack,
        lane=index,
        series=tuple(Series(name=name, steps=_STEPS, values=values) for name in names),
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[200, 2_000, 20_000])
    parser.add_argument("--out", type=Path, help="a folder to write the last report into")
    arguments = parser.parse_args()
    files: dict[str, bytes] = {}
    print("| runs | computed, s | drawn and written, s | page, MB | JSON, MB | all files, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for amount in arguments.runs:
        spec = study(amount)
        rows = synthetic_rows(spec)
        provenance = Provenance(
            study_id="0",
            spec_hash=spec.content_hash,
            started_at=NOW,
            ended_at=NOW,
            versions={},
            commit="",
            hardware="made up",
        )
        start = time.perf_counter()
        report = build_report(spec, rows, provenance)
        middle = time.perf_counter()
        files = render(report, rows)
        end = time.perf_counter()
        page, data = (len(files[name]) / 1e6 for name in ("report.html", "report.json"))
        total = sum(map(len, files.values())) / 1e6
        times = f"{middle - start:.2f} | {end - middle:.2f}"
        print(f"| {len(rows.runs):,} | {times} | {page:.2f} | {data:.2f} | {total:.2f} |", flush=True)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (arguments.out / name).write_bytes(content)


if __name__ == "__main__":
    main()
