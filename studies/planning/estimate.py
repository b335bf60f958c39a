"""Estimates of what a study will train and how long that takes, before anything runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from studies.frozen_model import FrozenModel
from studies.planning.throughput import (
    MIN_COMPILE_SECONDS,
    MIN_SAVED_SHARE,
    Speed,
    best_fit,
    fastest,
    is_sufficient,
    shrink_to_runs,
)
from studies.records.rows import Mode
from studies.search.budget import max_trials, trials_per_search
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

#: Seconds from the start of a study to its first pack: workers start and import their libraries.
STARTUP_SECONDS = 10.0
#: Seconds for a process to load its first compiled step, mostly imports; see docs/performance.md.
PROGRAM_LOAD_SECONDS = 2.7
#: Least steps and seconds of measuring one pack size, and how many sizes a probe measures at least.
PROBE_STEPS, PROBE_SECONDS, PROBE_SIZES = 6, 0.5, 2


class Basis(StrEnum):
    """What an estimate of seconds is based on."""

    MEASURED = "measured"
    GUESS = "guess"


@dataclass(frozen=True, kw_only=True)
class ArmSpeeds:
    """How fast an arm trains on a workload.

    Args:
        speeds: At least one.
        basis: Whether they were measured for exactly this workload, optimizer, hardware and code.
        source: Where the speeds come from, in words.
    """

    speeds: tuple[Speed, ...]
    basis: Basis
    source: str


@dataclass(frozen=True, kw_only=True)
class TimeCost:
    """Time that packs take.

    Args:
        pack_seconds: Total training seconds of all packs.
        seconds: Wall-clock seconds on all workers, if these train nothing else.
    """

    pack_seconds: float
    seconds: float


class TrainingCost(FrozenModel):
    """Runs, steps and time of training.

    Args:
        search_runs: Number of search runs.
        confirm_runs: Number of confirm runs.
        run_steps: Steps of all runs, if none diverges or is stopped.
        pack_seconds: Estimated training seconds of all packs, including throughput measurements where needed.
        seconds: Estimated wall-clock seconds, with all workers and no other study.
        gpu_hours: Estimated GPU-hours of all packs; 0 for training on CPUs.
    """

    search_runs: int
    confirm_runs: int
    run_steps: int
    pack_seconds: float
    seconds: float
    gpu_hours: float


class ArmEstimate(FrozenModel):
    """The estimate of one arm on one workload.

    Args:
        workload: The workload's name within the study.
        arm: The arm's name.
        basis: What the seconds are based on.
        source: Where the speeds come from, in words.
        expected: Without any range extension.
        most: With every possible range extension.
    """

    workload: str
    arm: str
    basis: Basis
    source: str
    expected: TrainingCost
    most: TrainingCost


class Estimate(FrozenModel):
    """The estimate of a study.

    Args:
        workers: Number of packs that train at the same time.
        arms: By workload and arm, in the spec's order.
        expected: Total without any range extension.
        most: Total with every possible range extension.
    """

    workers: int
    arms: tuple[ArmEstimate, ...]
    expected: TrainingCost
    most: TrainingCost


def stage_cost(speeds: Sequence[Speed], runs: int, steps: int, workers: int) -> TimeCost:
    """Return the time that the runs of one stage or batch take, in the packs that the planner makes of them.

    Args:
        speeds: Known speeds; at least one.
        runs: Number of runs.
        steps: Steps of each run.
        workers: Number of packs that train at the same time.
    """
    if runs == 0:
        return TimeCost(pack_seconds=0.0, seconds=0.0)
    measured = best_fit(speeds, runs)
    speed = shrink_to_runs(measured, runs, steps)
    compile_seconds = 0.0 if speed.lanes == measured.lanes else speed.compile_seconds
    full_pack, (full_packs, rest) = steps * speed.seconds, divmod(runs, speed.lanes)
    last_pack = steps * (eager_seconds(speeds, rest) if speed.mode is Mode.EAGER else speed.seconds) if rest else 0.0
    turns, remaining_packs = divmod(full_packs, workers)
    last_turn = full_pack if remaining_packs else last_pack
    return TimeCost(
        pack_seconds=compile_seconds + full_packs * full_pack + last_pack,
        seconds=compile_seconds + turns * full_pack + last_turn,
    )


def eager_seconds(speeds: Sequence[Speed], lanes: int) -> float:
    """Return the seconds of an eager step with fewer lanes than the largest measured pack.

    The time per added lane is interpolated between the smallest and the largest pack. With a single measurement it
    counts as zero: most of a step is dispatch, which does not depend on the number of lanes.

    Args:
        speeds: Known speeds; at least one eager.
        lanes: Number of lanes.
    """
    eager = sorted((speed for speed in speeds if speed.mode is Mode.EAGER), key=lambda speed: speed.lanes)
    small, large = eager[0], eager[-1]
    per_lane = (large.seconds - small.seconds) / (large.lanes - small.lanes) if large.lanes > small.lanes else 0.0
    above = next(speed for speed in eager if speed.lanes >= lanes)
    return max(above.seconds - (above.lanes - lanes) * max(per_lane, 0.0), lanes * above.lane_seconds)


def estimate(
    spec: StudySpec, arm_speeds: Mapping[tuple[str, str], ArmSpeeds], *, workers: int = 1, gpus: float = 0.0
) -> Estimate:
    """Return what a study will train, and about how long that takes.

    Args:
        spec: The study.
        arm_speeds: Known speeds, by (workload, arm); complete.
        workers: Number of packs that train at the same time.
        gpus: GPUs of each pack; 0 for training on CPUs.
    """
    budgeted = trials_per_search(spec)
    probe_seconds = _probe_seconds(spec, arm_speeds)
    arms: list[ArmEstimate] = []
    for workload in spec.workloads:
        for arm in spec.arms:
            known, probing = arm_speeds[workload.name, arm.name], probe_seconds.get((workload.name, arm.name), 0.0)
            first = spec.protocol.trials if arm.search else 1
            expected, most = (
                _training_cost(spec, workload, arm, known, trials, first, probing, workers, gpus=gpus)
                for trials in (first if budgeted is None else min(first, budgeted), _max_trials(spec, arm, budgeted))
            )
            arms.append(
                ArmEstimate(
                    workload=workload.name,
                    arm=arm.name,
                    basis=known.basis,
                    source=known.source,
                    expected=expected,
                    most=most,
                )
            )
    return Estimate(
        workers=workers,
        arms=tuple(arms),
        expected=_total([arm.expected for arm in arms], workers),
        most=_total([arm.most for arm in arms], workers),
    )


def _max_trials(spec: StudySpec, arm: ArmSpec, budgeted: int | None) -> int:
    return max_trials(spec, arm) if budgeted is None else min(max_trials(spec, arm), budgeted)


def _training_cost(
    spec: StudySpec,
    workload: WorkloadSpec,
    arm: ArmSpec,
    known: ArmSpeeds,
    trials: int,
    first: int,
    probe_seconds: float,
    workers: int,
    *,
    gpus: float,
) -> TrainingCost:
    """Return the cost of an arm on a workload with a number of trials; those after the first ones are in extensions."""
    seeds, confirm_runs = spec.protocol.search_seeds, spec.protocol.confirm_seeds
    batches = [(count * seeds, times) for count, times in _batches(trials, first, spec.protocol.batch)]
    stages = [
        *((stage_cost(known.speeds, runs, workload.search_steps, workers), times) for runs, times in batches),
        (stage_cost(known.speeds, confirm_runs, workload.steps, workers), 1),
    ]
    all_runs = [confirm_runs, *(runs for runs, times in batches if runs * times)]
    setup_seconds = probe_seconds
    if any(best_fit(known.speeds, runs).mode is Mode.COMPILED for runs in all_runs):
        setup_seconds += PROGRAM_LOAD_SECONDS
    pack_seconds = setup_seconds + math.fsum(times * cost.pack_seconds for cost, times in stages)
    return TrainingCost(
        search_runs=trials * seeds,
        confirm_runs=confirm_runs,
        run_steps=trials * seeds * workload.length(Stage.SEARCH) + confirm_runs * workload.length(Stage.CONFIRM),
        pack_seconds=pack_seconds,
        seconds=STARTUP_SECONDS + setup_seconds + math.fsum(times * cost.seconds for cost, times in stages),
        gpu_hours=pack_seconds / 3600 * gpus,
    )


def _batches(trials: int, first: int, size: int) -> Iterable[tuple[int, int]]:
    """Yield batch sizes and how many batches have that size."""
    for part in (min(trials, first), max(0, trials - first)):
        full_batches, rest = divmod(part, size)
        yield size, full_batches
        yield rest, 1


def _total(arms: Sequence[TrainingCost], workers: int) -> TrainingCost:
    """Return the cost of all arms: the time of the longest one, or of all packs shared among the workers if longer."""
    pack_seconds = math.fsum(arm.pack_seconds for arm in arms)
    return TrainingCost(
        search_runs=sum(arm.search_runs for arm in arms),
        confirm_runs=sum(arm.confirm_runs for arm in arms),
        run_steps=sum(arm.run_steps for arm in arms),
        pack_seconds=pack_seconds,
        seconds=max(STARTUP_SECONDS + pack_seconds / workers, *(arm.seconds for arm in arms)),
        gpu_hours=math.fsum(arm.gpu_hours for arm in arms),
    )


def _probe_seconds(spec: StudySpec, arm_speeds: Mapping[tuple[str, str], ArmSpeeds]) -> dict[tuple[str, str], float]:
    """Return the seconds of throughput probes, each under the first (workload, arm) that needs it."""
    first: dict[tuple[object, ...], tuple[str, str]] = {}
    lane_steps: dict[tuple[str, str], int] = {}
    for workload in spec.workloads:
        for arm in spec.arms:
            subject = (workload.workload, tuple(sorted(workload.options.items())), workload.lanes, arm.optimizer)
            key = first.setdefault(subject, (workload.name, arm.name))
            trials, protocol = spec.protocol.trials if arm.search else 1, spec.protocol
            lane_steps[key] = (
                lane_steps.get(key, 0)
                + trials * protocol.search_seeds * workload.search_steps
                + protocol.confirm_seeds * workload.steps
            )
    probe_seconds: dict[tuple[str, str], float] = {}
    for key, steps in lane_steps.items():
        known = arm_speeds[key]
        if known.basis is Basis.MEASURED and is_sufficient(known.speeds, steps):
            continue
        best = fastest(known.speeds)
        compiles = MIN_SAVED_SHARE * steps * best.lane_seconds >= MIN_COMPILE_SECONDS
        measure_seconds = PROBE_SIZES * max(PROBE_SECONDS, PROBE_STEPS * best.seconds)
        probe_seconds[key] = measure_seconds + (MIN_COMPILE_SECONDS if compiles else 0.0)
    return probe_seconds
