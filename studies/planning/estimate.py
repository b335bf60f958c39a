"""What a study will train, and about how long that takes: by the speeds that are known, before anything runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from studies.frozen_model import FrozenModel
from studies.planning.throughput import COMPILING, SAVED, Speed, enough, fastest, fitting, narrowed
from studies.records.rows import Mode
from studies.search.budget import most_trials, share
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

#: Seconds from the start of a study to its first pack: workers are started, and import what they train with.
STARTING = 10.0
#: Seconds until a process has loaded its first compiled step, mostly imports; see docs/performance.md.
LOADING = 2.7
#: A measurement of one size of pack takes at least so many steps, and so many seconds; two sizes are, or more.
MEASURED_STEPS, MEASURED_SECONDS, MEASURED_SIZES = 6, 0.5, 2


class Basis(StrEnum):
    """What an estimate of seconds rests on."""

    MEASURED = "measured"
    GUESS = "guess"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What is known of how fast an arm trains on a workload.

    Args:
        speeds: At least one.
        basis: Whether they were measured, of this very workload, optimizer, hardware and code.
        source: Where they come from, in words.
    """

    speeds: tuple[Speed, ...]
    basis: Basis
    source: str


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What packs take.

    Args:
        pack_seconds: One after the other.
        seconds: On all workers, where they have nothing else to do.
    """

    pack_seconds: float
    seconds: float


class Amount(FrozenModel):
    """So much to train.

    Args:
        search_runs: Runs of searches.
        confirm_runs: Runs of the comparison.
        run_steps: Steps of all these runs, if none of them diverges or is stopped.
        pack_seconds: Estimated seconds of their packs, one after the other, and of measuring where that comes first.
        seconds: Estimated wall-clock seconds, with all workers and no other study.
        gpu_hours: Estimated hours of packs on GPUs; 0 where training is on CPUs.
    """

    search_runs: int
    confirm_runs: int
    run_steps: int
    pack_seconds: float
    seconds: float
    gpu_hours: float


class ArmEstimate(FrozenModel):
    """An arm on a workload.

    Args:
        workload: The workload's name within the study.
        arm: The arm's name.
        basis: What the seconds rest on.
        source: Where that comes from, in words.
        expected: Before any range is extended.
        most: With every range extended as often as it can be.
    """

    workload: str
    arm: str
    basis: Basis
    source: str
    expected: Amount
    most: Amount


class Estimate(FrozenModel):
    """A study.

    Args:
        workers: Packs that are trained at once.
        arms: By workload and arm, in the spec's order.
        expected: All of them, before any range is extended.
        most: All of them, with every range extended as often as it can be.
    """

    workers: int
    arms: tuple[ArmEstimate, ...]
    expected: Amount
    most: Amount


def stage_taken(speeds: Sequence[Speed], runs: int, steps: int, workers: int) -> Taken:
    """Return what runs of one stage or batch take, in the packs that the plan makes of them.

    Args:
        speeds: What is known; at least one.
        runs: How many.
        steps: Steps of each.
        workers: Packs that are trained at once.
    """
    if runs == 0:
        return Taken(pack_seconds=0.0, seconds=0.0)
    known = fitting(speeds, runs)
    speed = narrowed(known, runs, steps)
    making = 0.0 if speed.lanes == known.lanes else speed.compile_seconds
    whole, (packs, rest) = steps * speed.seconds, divmod(runs, speed.lanes)
    last = steps * (eager_seconds(speeds, rest) if speed.mode is Mode.EAGER else speed.seconds) if rest else 0.0
    turns, left = divmod(packs, workers)
    return Taken(pack_seconds=making + packs * whole + last, seconds=making + turns * whole + (whole if left else last))


def eager_seconds(speeds: Sequence[Speed], lanes: int) -> float:
    """Return what an eager step takes with so many lanes, fewer than the largest measured pack has.

    What a lane adds is told by the smallest and the largest pack; by a single one nothing is, and most of a step is
    dispatch, which is the same for any number of lanes.

    Args:
        speeds: What is known; at least one eager.
        lanes: How many.
    """
    eager = sorted((speed for speed in speeds if speed.mode is Mode.EAGER), key=lambda speed: speed.lanes)
    small, large = eager[0], eager[-1]
    added = (large.seconds - small.seconds) / (large.lanes - small.lanes) if large.lanes > small.lanes else 0.0
    above = next(speed for speed in eager if speed.lanes >= lanes)
    return max(above.seconds - (above.lanes - lanes) * max(added, 0.0), lanes * above.lane_seconds)


def estimate(
    spec: StudySpec, paces: Mapping[tuple[str, str], Pace], *, workers: int = 1, gpus: float = 0.0
) -> Estimate:
    """Return what a study will train, and about how long that takes.

    Args:
        spec: The study.
        paces: What is known, of every (workload, arm).
        workers: Packs that are trained at once.
        gpus: GPUs of each of them; 0 where they are trained on processors.
    """
    left = share(spec)
    measuring = _measuring(spec, paces)
    found: list[ArmEstimate] = []
    for workload in spec.workloads:
        for arm in spec.arms:
            pace, more = paces[workload.name, arm.name], measuring.get((workload.name, arm.name), 0.0)
            first = spec.protocol.trials if arm.search else 1
            expected, most = (
                _amount(spec, workload, arm, pace, trials, first, more, workers, gpus=gpus)
                for trials in (first if left is None else min(first, left), _most(spec, arm, left))
            )
            found.append(
                ArmEstimate(
                    workload=workload.name,
                    arm=arm.name,
                    basis=pace.basis,
                    source=pace.source,
                    expected=expected,
                    most=most,
                )
            )
    return Estimate(
        workers=workers,
        arms=tuple(found),
        expected=_total([each.expected for each in found], workers),
        most=_total([each.most for each in found], workers),
    )


def _most(spec: StudySpec, arm: ArmSpec, left: int | None) -> int:
    return most_trials(spec, arm) if left is None else min(most_trials(spec, arm), left)


def _amount(
    spec: StudySpec,
    workload: WorkloadSpec,
    arm: ArmSpec,
    pace: Pace,
    trials: int,
    first: int,
    before: float,
    workers: int,
    *,
    gpus: float,
) -> Amount:
    """Return what an arm on a workload takes with so many trials, those beyond the first ones in extensions.

    The seconds before are those of measurements that come first.
    """
    seeds, confirm_runs = spec.protocol.search_seeds, spec.protocol.confirm_seeds
    batches = [(count * seeds, times) for count, times in _batches(trials, first, spec.protocol.batch)]
    stages = [
        *((stage_taken(pace.speeds, runs, workload.search_steps, workers), times) for runs, times in batches),
        (stage_taken(pace.speeds, confirm_runs, workload.steps, workers), 1),
    ]
    all_runs = [confirm_runs, *(runs for runs, times in batches if runs * times)]
    if any(fitting(pace.speeds, runs).mode is Mode.COMPILED for runs in all_runs):
        before += LOADING
    pack_seconds = before + math.fsum(times * taken.pack_seconds for taken, times in stages)
    return Amount(
        search_runs=trials * seeds,
        confirm_runs=confirm_runs,
        run_steps=trials * seeds * workload.length(Stage.SEARCH) + confirm_runs * workload.length(Stage.CONFIRM),
        pack_seconds=pack_seconds,
        seconds=STARTING + before + math.fsum(times * taken.seconds for taken, times in stages),
        gpu_hours=pack_seconds / 3600 * gpus,
    )


def _batches(trials: int, first: int, size: int) -> Iterable[tuple[int, int]]:
    """Return how many trials are asked at once and how often, one batch after the other."""
    for part in (min(trials, first), max(0, trials - first)):
        whole, rest = divmod(part, size)
        yield size, whole
        yield rest, 1


def _total(arms: Sequence[Amount], workers: int) -> Amount:
    """Return what all arms take together: as long as the longest of them, or as the workers have work for."""
    pack_seconds = math.fsum(each.pack_seconds for each in arms)
    return Amount(
        search_runs=sum(each.search_runs for each in arms),
        confirm_runs=sum(each.confirm_runs for each in arms),
        run_steps=sum(each.run_steps for each in arms),
        pack_seconds=pack_seconds,
        seconds=max(STARTING + pack_seconds / workers, *(each.seconds for each in arms)),
        gpu_hours=math.fsum(each.gpu_hours for each in arms),
    )


def _measuring(spec: StudySpec, paces: Mapping[tuple[str, str], Pace]) -> dict[tuple[str, str], float]:
    """Return the seconds of measurements that come first, each under the first (workload, arm) that it is for."""
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
    found: dict[tuple[str, str], float] = {}
    for key, steps in lane_steps.items():
        pace = paces[key]
        if pace.basis is Basis.MEASURED and enough(pace.speeds, steps):
            continue
        best = fastest(pace.speeds)
        compiling = COMPILING if SAVED * steps * best.lane_seconds >= COMPILING else 0.0
        found[key] = MEASURED_SIZES * max(MEASURED_SECONDS, MEASURED_STEPS * best.seconds) + compiling
    return found
