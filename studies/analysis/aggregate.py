"""Aggregates over workloads: performance profiles with scores, interquartile means of the differences."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import Interval
from studies.analysis.statistics.averages import interquartile_mean
from studies.analysis.statistics.intervals import stratified_bootstrap
from studies.analysis.statistics.profiles import R_MAX, performance_profile, performance_ratios, profile_score
from studies.analysis.time_to_target import Target
from studies.frozen_model import FrozenModel
from studies.spec.study import StudySpec

#: Seed of the bootstrap, so that the same rows give the same interval.
BOOTSTRAP_SEED = 0


class ArmAggregate(FrozenModel):
    """An arm over all workloads.

    Args:
        arm: Its name.
        ratios: Its median steps to the target divided by the fastest arm's, by workload; None if infinite.
        profile: Share of the workloads with a ratio of at most each factor.
        score: Mean over workloads of max(0, r_max - ratio) / (r_max - 1), between 0 and 1.
        iqm: Interquartile mean over workloads of its mean differences to the reference; None for the reference, and
            if a workload has no mean difference.
        iqm_interval_95: By the stratified bootstrap; None likewise, and for fewer than ten seeds.
    """

    arm: str
    ratios: tuple[float | None, ...]
    profile: tuple[float, ...]
    score: float
    iqm: float | None
    iqm_interval_95: Interval | None


class Aggregate(FrozenModel):
    """Aggregates over the workloads of a study.

    Args:
        workloads: In the spec's order, like the ratios; a workload without a target lowers every arm's score.
        r_max: Ratios of at least r_max contribute 0 to the score.
        factors: Factors of the profile, 1 and each at which an arm's share rises.
        arms: In the spec's order.
    """

    workloads: tuple[str, ...]
    r_max: float
    factors: tuple[float, ...]
    arms: tuple[ArmAggregate, ...]


def aggregate_workloads(
    spec: StudySpec, targets: Sequence[Target | None], arms: Sequence[Sequence[ArmReport]]
) -> Aggregate | None:
    """Return the aggregates over workloads, None for a single workload or a single arm.

    Args:
        spec: The study.
        targets: The target of each workload.
        arms: All arms of each workload.
    """
    if len(spec.workloads) < 2 or len(spec.arms) < 2:
        return None
    times = [[_median_steps(target, index) for target in targets] for index in range(len(spec.arms))]
    ratios = performance_ratios(times)
    factors = sorted({1.0, *(float(ratio) for ratio in ratios.ravel() if math.isfinite(ratio))})
    profiles, scores = performance_profile(times, factors), profile_score(times)
    strata = [_differences([workload_arms[index] for workload_arms in arms]) for index in range(len(spec.arms))]
    return Aggregate(
        workloads=tuple(workload.name for workload in spec.workloads),
        r_max=R_MAX,
        factors=tuple(factors),
        arms=tuple(
            ArmAggregate(
                arm=arm.name,
                ratios=tuple(float(ratio) if math.isfinite(ratio) else None for ratio in ratios[index]),
                profile=tuple(map(float, profiles[index])),
                score=float(scores[index]),
                iqm=_mean_over_workloads(strata[index]),
                iqm_interval_95=_interval_over_workloads(strata[index]),
            )
            for index, arm in enumerate(spec.arms)
        ),
    )


def _median_steps(target: Target | None, arm_index: int) -> float:
    median = None if target is None else target.steps[arm_index].median
    return math.inf if median is None else median


def _differences(arms: Sequence[ArmReport]) -> list[list[float]]:
    """Return an arm's differences to the reference, a list for each workload; empty if a pair has no difference."""
    comparisons = [arm.comparison for arm in arms]
    return [
        []
        if comparison is None or comparison.mean_difference is None
        else [difference for difference in comparison.differences if difference is not None]
        for comparison in comparisons
    ]


def _mean_over_workloads(strata: Sequence[Sequence[float]]) -> float | None:
    if not all(strata):
        return None
    return float(interquartile_mean([float(np.mean(differences)) for differences in strata]))


def _interval_over_workloads(strata: Sequence[Sequence[float]]) -> Interval | None:
    def statistic(samples: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
        return interquartile_mean(np.stack([sample.mean(axis=-1) for sample in samples], axis=-1))

    ends = stratified_bootstrap(strata, statistic, 0.95, np.random.default_rng(BOOTSTRAP_SEED))
    return None if ends is None else Interval(low=ends[0], high=ends[1])
