"""Comparing every arm with the reference arm: paired over confirm seeds, one family of tests a study."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from studies.analysis.statistics.intervals import t_interval
from studies.analysis.statistics.power import minimum_detectable_effect, seeds_needed
from studies.analysis.statistics.search import search_luck
from studies.analysis.statistics.significance import (
    holm_adjusted,
    paired_differences,
    probability_of_improvement,
    sign_flip_test,
    sign_test,
)
from studies.frozen_model import FrozenModel
from studies.records.rows import Rows, Run, by_arm
from studies.search.selection import final_objective, scores
from studies.spec.definition import Sampler
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

#: Family-wise level of the tests.
SIGNIFICANCE = 0.05
#: Seed of the random flips of each test, so that no comparison depends on another.
FLIPS_SEED = 0


class Verdict(StrEnum):
    """How an arm fares against the reference arm."""

    WIN = "win"
    LOSS = "loss"
    TIE = "tie"
    UNDECIDED = "undecided"
    INCOMPLETE = "incomplete"


class Interval(FrozenModel):
    """A confidence interval.

    Args:
        low: Lower end.
        high: Upper end.
    """

    low: float
    high: float


class Comparison(FrozenModel):
    """An arm against the reference arm on the objective of one workload, paired by confirm seed.

    Differences are on the comparison scale, decades for a loss and the metric's own unit otherwise, and positive where
    the arm is better than the reference.

    Args:
        reference: The reference arm.
        verdict: Win and loss are significant; a tie's 90 % interval lies inside the margin.
        test: `sign_flip`, or `sign_test` where a run of a pair diverged; None while incomplete.
        p: The test's two-sided p-value; None while incomplete.
        p_adjusted: The same, Holm-adjusted over all arms and workloads of the study.
        differences: One a confirm seed, in order; None where a run is missing or diverged.
        diverged_pairs: Pairs in which at least one run diverged.
        mean_difference: Mean of the differences; None while incomplete or where a pair diverged.
        interval_95: Its 95 % t-interval; None likewise and for a single seed.
        interval_90: Its 90 % t-interval, which a tie is read from.
        seeds_needed: Seeds that would decide an undecided comparison; None where decided or not estimable.
        minimum_detectable_effect: Mean difference that so many seeds find with a probability of 0.8 at this spread and
            at Bonferroni's level; None while incomplete, where a pair diverged, and where no difference can be found.
        probability_of_improvement: Share of pairs of an arm's and a reference's run in which the arm's is better, equal
            ones counting half; None while incomplete.
        search_luck: Sum of the `search_luck` of both arms' searches, on the scale of the differences, 0 for a fixed
            arm: a difference within it is one of the chosen settings, and says little of the optimizers. None where
            settings are not drawn at random, and where a search has fewer than three trials that neither diverged nor
            were stopped.
    """

    reference: str
    verdict: Verdict
    test: str | None
    p: float | None
    p_adjusted: float | None
    differences: tuple[float | None, ...]
    diverged_pairs: int
    mean_difference: float | None
    interval_95: Interval | None
    interval_90: Interval | None
    seeds_needed: int | None
    minimum_detectable_effect: float | None
    probability_of_improvement: float | None
    search_luck: float | None


def confirm_runs(rows: Rows, workload: str, arm: str) -> tuple[Run, ...]:
    """Return an arm's confirm runs on a workload, by seed.

    Args:
        rows: The study's rows.
        workload: The workload's name within the study.
        arm: The arm's name.
    """
    found = [run for run in rows.runs if (run.workload, run.arm, run.stage) == (workload, arm, Stage.CONFIRM)]
    return tuple(sorted(found, key=lambda run: run.seed))


def interval(values: Sequence[float], level: float) -> Interval | None:
    """Return the t-interval of a mean, None for fewer than two values.

    Args:
        values: Finite numbers.
        level: Coverage, as in 0.95.
    """
    found = t_interval(values, level)
    return None if found is None else Interval(low=found[0], high=found[1])


def compare(spec: StudySpec, rows: Rows) -> dict[tuple[str, str], Comparison]:
    """Return the comparisons of a study by (workload, arm), the reference arm left out.

    Args:
        spec: The study.
        rows: Its rows; the runs need no series.
    """
    reference, apart = spec.protocol.reference, by_arm(rows)
    sides = {
        (workload, arm): _side(spec, apart.get((workload, arm), Rows()), workload, arm) for workload, arm in spec.pairs
    }
    pairs = {
        (workload, arm): _paired(mine, sides[workload, reference])
        for (workload, arm), mine in sides.items()
        if arm != reference
    }
    # a test that is still missing counts as 1, so that the final correction can only be milder
    adjusted = holm_adjusted([1.0 if paired.p is None else paired.p for paired in pairs.values()])
    return {key: _comparison(spec, pairs[key], p, len(pairs)) for key, p in zip(pairs, adjusted, strict=True)}


@dataclass(frozen=True, kw_only=True)
class _Side:
    """An arm on a workload: values by confirm seed, smaller being better, NaN where a run is missing; and its luck."""

    values: NDArray[np.floating]
    luck: float


@dataclass(frozen=True, kw_only=True)
class _Paired:
    """An arm beside the reference arm, with their differences by confirm seed, tested once none is missing."""

    mine: _Side
    theirs: _Side
    differences: NDArray[np.floating]
    test: str | None = None
    p: float | None = None

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Which pairs have a run that diverged and none that is missing."""
        return ~np.isnan(self.differences) & (np.isinf(self.mine.values) | np.isinf(self.theirs.values))

    @property
    def regular(self) -> bool:
        """Whether every pair is there and has a number."""
        return self.p is not None and not self.diverged.any()


def _side(spec: StudySpec, rows: Rows, workload: str, arm: str) -> _Side:
    runs = confirm_runs(rows, workload, arm)
    found = {run.seed: spec.objective.oriented(final_objective(run, spec.objective)) for run in runs}
    values = np.array([found.get(seed, np.nan) for seed in spec.confirm_seeds])
    return _Side(values=values, luck=_luck(spec, rows, workload, arm))


def _luck(spec: StudySpec, rows: Rows, workload: str, arm: str) -> float:
    if not spec.arm(arm).search:
        return 0.0
    if spec.protocol.sampler is not Sampler.RANDOM:
        return math.inf
    whole = [score.value for score in scores(spec, rows, workload, arm) if not score.stopped]
    return search_luck([spec.objective.oriented(value) for value in whole])


def _paired(mine: _Side, theirs: _Side) -> _Paired:
    paired = _Paired(mine=mine, theirs=theirs, differences=paired_differences(mine.values, theirs.values))
    if np.isnan(paired.differences).any():
        return paired
    values = paired.differences.tolist()
    if paired.diverged.any():
        return replace(paired, test="sign_test", p=sign_test(values))
    return replace(paired, test="sign_flip", p=sign_flip_test(values, np.random.default_rng(FLIPS_SEED)))


def _comparison(spec: StudySpec, paired: _Paired, p_adjusted: float, tests: int) -> Comparison:
    margin = spec.protocol.margin
    # Bonferroni's level is the strictest that Holm's correction can ask of this test
    level = SIGNIFICANCE / tests
    values = paired.differences.tolist()
    mine, theirs, luck = paired.mine.values, paired.theirs.values, paired.mine.luck + paired.theirs.luck
    inner = interval(values, 0.90) if paired.regular else None
    verdict = _verdict(paired, p_adjusted, inner, margin)
    estimable = paired.regular and verdict is Verdict.UNDECIDED
    return Comparison(
        reference=spec.protocol.reference,
        verdict=verdict,
        test=paired.test,
        p=paired.p,
        p_adjusted=None if paired.p is None else p_adjusted,
        differences=tuple(
            None if diverged or math.isnan(value) else value
            for value, diverged in zip(values, paired.diverged, strict=True)
        ),
        diverged_pairs=int(np.count_nonzero(paired.diverged)),
        mean_difference=float(np.mean(values)) if paired.regular else None,
        interval_95=interval(values, 0.95) if paired.regular else None,
        interval_90=inner,
        seeds_needed=seeds_needed(values, level, margin) if estimable else None,
        minimum_detectable_effect=minimum_detectable_effect(values, level) if paired.regular else None,
        probability_of_improvement=(
            None if paired.p is None else probability_of_improvement(mine.tolist(), theirs.tolist())
        ),
        search_luck=luck if math.isfinite(luck) else None,
    )


def _verdict(paired: _Paired, p_adjusted: float, inner: Interval | None, margin: float) -> Verdict:
    if paired.p is None:
        return Verdict.INCOMPLETE
    if p_adjusted <= SIGNIFICANCE:
        # the sign test knows signs only
        signed = np.sign(paired.differences) if paired.diverged.any() else paired.differences
        return Verdict.WIN if math.fsum(signed) > 0 else Verdict.LOSS
    if inner is not None and -margin <= inner.low and inner.high <= margin:
        return Verdict.TIE
    return Verdict.UNDECIDED
