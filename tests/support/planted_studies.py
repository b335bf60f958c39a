"""Studies with a planted outcome: a spec and rows whose every number is known, without any training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from studies.planning.planner import plan_next_packs
from studies.records.rows import Lane, Outcome, Pack, Rows, Run, Series, Trial, by_arm
from studies.reporting.report import Provenance
from studies.search.selection import SearchState
from studies.spec.definition import Pruner, Sampler
from studies.spec.parameters import Direction, Precision, Stage
from studies.spec.study import ArmSpec, ProtocolSpec, SearchRange, StudySpec, WorkloadSpec
from tests.support.training.throughput import all_eager

START_LOSS = 2.0
#: Standard deviation of what log10 of the losses of one seed on one workload have in common.
COMMON = 0.3
STEPS = 200


@dataclass(frozen=True, kw_only=True)
class Planted:
    """How an arm behaves on every workload.

    Args:
        log_loss: Mean log10 of its final loss with the best learning rate; -inf for a loss of exactly 0.
        spread: Standard deviation of log10 of its final loss over seeds.
        best_lr: Best learning rate; None makes it a fixed arm.
        diverges_above: Learning rates above diverge.
        diverged_seeds: How many of its confirm seeds diverge, the first ones.
        curvature: By how much log10 of its loss grows with the square of the decades from the best learning rate.
        diverging: Probability that a run diverges, where every run has its own luck.
    """

    log_loss: float
    spread: float = 0.05
    best_lr: float | None = None
    diverges_above: float = 0.5
    diverged_seeds: int = 0
    curvature: float = 1.0
    diverging: float = 0.0


#: Against l4: a win, a loss, a tie, an undecided arm, and one that diverges on some seeds.
OUTCOMES = {
    "l4": Planted(log_loss=-3.0),
    "better": Planted(log_loss=-4.0, best_lr=0.1),
    "worse": Planted(log_loss=-2.0, best_lr=0.03),
    "same": Planted(log_loss=-3.01, spread=0.01),
    "noisy": Planted(log_loss=-3.4, spread=1.5, best_lr=0.01),
    "shaky": Planted(log_loss=-3.5, best_lr=0.1, diverged_seeds=2),
}


def planted_spec(
    arms: Mapping[str, Planted],
    *,
    workloads: Sequence[str] = ("bowl", "valley"),
    objective: str = "train_loss",
    confirm_seeds: int = 12,
    reference: str = "l4",
    margin: float = 0.1,
) -> StudySpec:
    return StudySpec(
        name="planted",
        workloads=tuple(
            WorkloadSpec(
                name=name, workload=name, options={"batch_size": 8}, steps=STEPS, search_steps=STEPS, steps_per_epoch=20
            )
            for name in workloads
        ),
        arms=tuple(
            ArmSpec(
                name=name,
                optimizer=name,
                fixed={"alpha": 0.15} if arm.best_lr is None else {"momentum": 0.9},
                search={} if arm.best_lr is None else {"lr": lr_range()},
                schedule={},
            )
            for name, arm in arms.items()
        ),
        protocol=ProtocolSpec(
            objective=objective,
            direction=Direction.MAXIMIZE if objective.endswith("accuracy") else Direction.MINIMIZE,
            sampler=Sampler.GRID,
            trials=9,
            batch=9,
            pruner=Pruner.NONE,
            search_length=1.0,
            precision=Precision.FLOAT32,
            search_seeds=1,
            confirm_seeds=confirm_seeds,
            reference=reference,
            margin=margin,
            loss_floor=1e-30,
            scale=1.0,
        ),
    )


def lr_range() -> SearchRange:
    return SearchRange(low=1e-3, high=1.0, log=True, at_least=0.0, at_most=None)


class Luck:
    """Noise for every run of one repetition of a study, besides what all runs of a seed on a workload have in common.

    Args:
        spec: The study.
        repetition: Its number.
    """

    def __init__(self, spec: StudySpec, repetition: int) -> None:
        self.generator = np.random.default_rng(repetition)
        self.common = {
            (workload.name, seed): COMMON * float(self.generator.standard_normal())
            for workload in spec.workloads
            for seed in (*spec.search_seeds, *spec.confirm_seeds)
        }


def planted_rows(spec: StudySpec, arms: Mapping[str, Planted], repetition: int | None = None) -> Rows:
    """Return the rows that a driver would have written by the end of the study.

    With the number of a repetition every run has noise of its own, and no series; without, a seed's noise is the same
    for every trial of an arm.
    """
    rows, luck = Rows(), None if repetition is None else Luck(spec, repetition)
    speeds = all_eager(spec, {workload.name: 8 for workload in spec.workloads})
    while True:
        added = plan_next_packs(spec, by_arm(rows), speeds, _grid)
        if not added.packs:
            return rows
        rows = replace(rows, trials=(*rows.trials, *added.trials))
        trained = [_trained(spec, rows, arms[pack.arm], pack, luck) for pack in added.packs]
        rows = replace(
            rows,
            packs=(*rows.packs, *(pack for pack, _ in trained)),
            runs=(*rows.runs, *(run for _, runs in trained for run in runs)),
        )


def provenance(spec: StudySpec, study_id: str = "s-1") -> Provenance:
    return Provenance(
        study_id=study_id,
        spec_hash=spec.content_hash,
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        ended_at=datetime(2026, 1, 2, 3, 5, 6, tzinfo=UTC),
        versions={"torch": "2.13.0"},
        commit="0123abc",
        hardware="2 cores",
    )


def _grid(workload: WorkloadSpec, arm: ArmSpec, search: SearchState, batch: int, count: int) -> list[dict[str, float]]:
    new_range = search.rounds[-1].new_ranges["lr"]
    return [{"lr": float(lr)} for lr in np.geomspace(new_range.low, new_range.high, count)]


def _trained(spec: StudySpec, rows: Rows, arm: Planted, pack: Pack, luck: Luck | None) -> tuple[Pack, list[Run]]:
    trials = [trial for trial in rows.trials if (trial.workload, trial.arm) == (pack.workload, pack.arm)]
    runs = [_run(spec, trials[lane.trial], arm, pack, place, lane, luck) for place, lane in enumerate(pack.lanes)]
    return replace(pack, done=True, seconds=1.5, host="here"), runs


def _run(spec: StudySpec, trial: Trial, arm: Planted, pack: Pack, place: int, lane: Lane, luck: Luck | None) -> Run:
    lr = trial.setting.get("lr")
    seeds = spec.confirm_seeds
    diverged = (lr is not None and lr > arm.diverges_above) or (lane.seed in seeds[: arm.diverged_seeds])
    own = [lane.seed, *pack.arm.encode(), *pack.workload.encode()]
    generator = np.random.default_rng(own) if luck is None else luck.generator
    log_loss = arm.log_loss + arm.spread * float(generator.standard_normal())
    if luck is not None:
        diverged |= bool(generator.random() < arm.diverging)
        log_loss += luck.common[pack.workload, lane.seed]
    if lr is not None and arm.best_lr is not None:
        log_loss += arm.curvature * math.log10(lr / arm.best_lr) ** 2
    loss = 10.0**log_loss
    accuracy = 1 / (1 + loss**0.3)
    confirm = pack.stage is Stage.CONFIRM
    measured = {"validation_accuracy": accuracy, "validation_loss": 1.1 * loss}
    if confirm:
        measured |= {"test_accuracy": accuracy - 0.001, "test_loss": 1.2 * loss}
    return Run(
        workload=pack.workload,
        arm=pack.arm,
        trial=lane.trial,
        seed=lane.seed,
        stage=pack.stage,
        outcome=Outcome.DIVERGED if diverged else Outcome.FINISHED,
        steps=STEPS // 2 if diverged else STEPS,
        start_loss=START_LOSS,
        train_loss=math.inf if diverged else loss,
        metrics={} if diverged else measured,
        pack=pack.number,
        lane=place,
        series=() if luck is not None else _series(loss, lr or 0.15, accuracy, confirm, diverged),
    )


def _series(loss: float, lr: float, accuracy: float, confirm: bool, diverged: bool) -> tuple[Series, ...]:
    steps = tuple(range(1, STEPS // 2 if diverged else STEPS + 1, 5))
    final = math.log10(max(loss, 1e-40) / START_LOSS)
    losses = [START_LOSS * 10 ** (final * min(1.0, 1.2 * step / STEPS)) for step in steps]
    rates = [lr * (1 + 0.5 * math.sin(step / 7)) * loss**0.02 for step in steps]
    epochs = tuple(range(0, steps[-1], 20))
    found = [
        Series(name="train_loss", steps=steps, values=(*losses[:-1], math.nan if diverged else losses[-1])),
        Series(name="effective_lr", steps=steps, values=tuple(rates)),
    ]
    for part in ("validation", "test") if confirm else ("validation",):
        values = tuple(accuracy * (1 - math.exp(-epoch / 30)) for epoch in epochs)
        found.append(Series(name=f"{part}_accuracy", steps=epochs, values=values))
    return tuple(found)
