"""What is said across workloads: performance profile with its score, interquartile mean of the differences."""

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

#: Of the bootstrap's generator, so that the same rows give the same interval.
BOOTSTRAP_SEED = 0


class ArmAcross(FrozenModel):
    """An arm across workloads.

    Args:
        arm: Its name.
        ratios: Its median steps to the target by those of the fastest arm, a workload each; None where it is infinite.
        profile: Share of the workloads on which that ratio is at most each of the factors.
        score: Mean over workloads of max(0, r_max - ratio) / (r_max - 1), between 0 and 1.
        iqm: Interquartile mean over the workloads of its mean differences to the reference; None for the reference,
            and where a workload has no such difference.
        iqm_interval_95: By the stratified bootstrap; None likewise, and for fewer than ten seeds.
    """

    arm: str
    ratios: tuple[float | None, ...]
    profile: tuple[float, ...]
    score: float
    iqm: float | None
    iqm_interval_95: Interval | None


class Across(FrozenModel):
    """What is said across the workloads of a study.

    Args:
        workloads: In the spec's order, as the ratios; one without a target counts for no arm, and lowers every score.
        r_max: A ratio from here on counts nothing in the score.
        factors: Of the profile, from 1 on: each at which any arm's share rises.
        arms: In the spec's order.
    """

    workloads: tuple[str, ...]
    r_max: float
    factors: tuple[float, ...]
    arms: tuple[ArmAcross, ...]


def across(spec: StudySpec, targets: Sequence[Target | None], arms: Sequence[Sequence[ArmReport]]) -> Across | None:
    """Return what is said across workloads, None for a single workload or a single arm.

    Args:
        spec: The study.
        targets: Of each workload.
        arms: Every arm of each workload.
    """
    if len(spec.workloads) < 2 or len(spec.arms) < 2:
        return None
    times = [[_time(target, place) for target in targets] for place in range(len(spec.arms))]
    ratios = performance_ratios(times)
    factors = sorted({1.0, *(float(each) for each in ratios.ravel() if math.isfinite(each))})
    strata = [_differences([own[place] for own in arms]) for place in range(len(spec.arms))]
    profile, scores = performance_profile(times, factors), profile_score(times)
    return Across(
        workloads=tuple(workload.name for workload in spec.workloads),
        r_max=R_MAX,
        factors=tuple(factors),
        arms=tuple(
            ArmAcross(
                arm=arm.name,
                ratios=tuple(float(each) if math.isfinite(each) else None for each in ratios[place]),
                profile=tuple(map(float, profile[place])),
                score=float(scores[place]),
                iqm=None
                if not all(strata[place])
                else float(interquartile_mean([float(np.mean(each)) for each in strata[place]])),
                iqm_interval_95=_interval(strata[place]),
            )
            for place, arm in enumerate(spec.arms)
        ),
    )


def _time(target: Target | None, place: int) -> float:
    found = None if target is None else target.steps[place].median
    return math.inf if found is None else found


def _differences(own: Sequence[ArmReport]) -> list[list[float]]:
    """Return an arm's differences to the reference by workload, one a seed; none where a pair has none."""
    found: list[list[float]] = []
    for arm in own:
        known = [] if arm.comparison is None or arm.comparison.mean_difference is None else arm.comparison.differences
        found.append([each for each in known if each is not None])
    return found


def _interquartile_mean(strata: Sequence[Sequence[float]]) -> float | None:
    if not all(strata):
        return None
    return float(interquartile_mean([float(np.mean(differences)) for differences in strata]))


def _interval(strata: Sequence[Sequence[float]]) -> Interval | None:
    def over_workloads(samples: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
        return interquartile_mean(np.stack([each.mean(axis=-1) for each in samples], axis=-1))

    found = stratified_bootstrap(strata, over_workloads, 0.95, np.random.default_rng(BOOTSTRAP_SEED))
    return None if found is None else Interval(low=found[0], high=found[1])
