"""Comparisons of all arms with the reference arm: paired by confirm seed, one family of tests per study."""

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
from studies.search.selection import final_objective, score_trials
from studies.spec.definition import Sampler
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

#: Family-wise level of the tests.
SIGNIFICANCE = 0.05
#: Seed of the random flips of each test, so that no comparison depends on another.
SIGN_FLIP_SEED = 0


class Verdict(StrEnum):
    """The outcome of a comparison with the reference arm."""

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

    @property
    def within_search_luck(self) -> bool:
        """Whether the verdict is a win or a loss by no more than the search luck."""
        if self.verdict not in {Verdict.WIN, Verdict.LOSS}:
            return False
        if self.mean_difference is None or self.search_luck is None:
            return False
        return abs(self.mean_difference) <= self.search_luck


def confirm_runs(rows: Rows, workload: str, arm: str) -> tuple[Run, ...]:
    """Return an arm's confirm runs on a workload, by seed.

    Args:
        rows: The study's rows.
        workload: The workload's name within the study.
        arm: The arm's name.
    """
    runs = [run for run in rows.runs if (run.workload, run.arm, run.stage) == (workload, arm, Stage.CONFIRM)]
    return tuple(sorted(runs, key=lambda run: run.seed))


def mean_interval(values: Sequence[float], level: float) -> Interval | None:
    """Return the t-interval of a mean, None for fewer than two values.

    Args:
        values: Finite numbers.
        level: Coverage, as in 0.95.
    """
    ends = t_interval(values, level)
    return None if ends is None else Interval(low=ends[0], high=ends[1])


def compare(spec: StudySpec, rows: Rows) -> dict[tuple[str, str], Comparison]:
    """Return the comparisons of a study by (workload, arm), without the reference arm.

    Args:
        spec: The study.
        rows: Its rows; the runs need no series.
    """
    reference, rows_by_arm = spec.protocol.reference, by_arm(rows)
    results = {
        (workload, arm): _arm_results(spec, rows_by_arm.get((workload, arm), Rows()), workload, arm)
        for workload, arm in spec.pairs
    }
    pairs = {
        (workload, arm): _pair_results(arm_results, results[workload, reference])
        for (workload, arm), arm_results in results.items()
        if arm != reference
    }
    # a missing test counts as p = 1, so that the final correction can only be milder
    adjusted = holm_adjusted([1.0 if pair.p is None else pair.p for pair in pairs.values()])
    return {key: _comparison(spec, pairs[key], p, len(pairs)) for key, p in zip(pairs, adjusted, strict=True)}


@dataclass(frozen=True, kw_only=True)
class _ArmResults:
    """An arm's oriented objective by confirm seed, NaN for a missing run, and the luck of its search."""

    values: NDArray[np.floating]
    search_luck: float


@dataclass(frozen=True, kw_only=True)
class _PairedResults:
    """An arm and the reference arm with their differences by confirm seed, and the test once no run is missing."""

    arm: _ArmResults
    reference: _ArmResults
    differences: NDArray[np.floating]
    test: str | None = None
    p: float | None = None

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Which pairs are complete and have a run that diverged."""
        return ~np.isnan(self.differences) & (np.isinf(self.arm.values) | np.isinf(self.reference.values))

    @property
    def all_finite(self) -> bool:
        """Whether every pair is complete and finite."""
        return self.p is not None and not self.diverged.any()


def _arm_results(spec: StudySpec, rows: Rows, workload: str, arm: str) -> _ArmResults:
    objective = spec.objective
    runs = confirm_runs(rows, workload, arm)
    values = {run.seed: objective.oriented(final_objective(run, objective)) for run in runs}
    return _ArmResults(
        values=np.array([values.get(seed, np.nan) for seed in spec.confirm_seeds]),
        search_luck=_search_luck(spec, rows, workload, arm),
    )


def _search_luck(spec: StudySpec, rows: Rows, workload: str, arm: str) -> float:
    if not spec.arm(arm).search:
        return 0.0
    if spec.protocol.sampler is not Sampler.RANDOM:
        return math.inf
    values = [score.value for score in score_trials(spec, rows, workload, arm) if not score.stopped]
    return search_luck([spec.objective.oriented(value) for value in values])


def _pair_results(arm: _ArmResults, reference: _ArmResults) -> _PairedResults:
    pair = _PairedResults(arm=arm, reference=reference, differences=paired_differences(arm.values, reference.values))
    if np.isnan(pair.differences).any():
        return pair
    differences = pair.differences.tolist()
    if pair.diverged.any():
        return replace(pair, test="sign_test", p=sign_test(differences))
    return replace(pair, test="sign_flip", p=sign_flip_test(differences, np.random.default_rng(SIGN_FLIP_SEED)))


def _comparison(spec: StudySpec, pair: _PairedResults, p_adjusted: float, tests: int) -> Comparison:
    margin = spec.protocol.margin
    # Bonferroni's level is the strictest that Holm's correction can ask of this test
    level = SIGNIFICANCE / tests
    differences = pair.differences.tolist()
    luck = pair.arm.search_luck + pair.reference.search_luck
    interval_90 = mean_interval(differences, 0.90) if pair.all_finite else None
    verdict = _verdict(pair, p_adjusted, interval_90, margin)
    estimable = pair.all_finite and verdict is Verdict.UNDECIDED
    return Comparison(
        reference=spec.protocol.reference,
        verdict=verdict,
        test=pair.test,
        p=pair.p,
        p_adjusted=None if pair.p is None else p_adjusted,
        differences=tuple(
            None if diverged or math.isnan(difference) else difference
            for difference, diverged in zip(differences, pair.diverged, strict=True)
        ),
        diverged_pairs=int(np.count_nonzero(pair.diverged)),
        mean_difference=float(np.mean(differences)) if pair.all_finite else None,
        interval_95=mean_interval(differences, 0.95) if pair.all_finite else None,
        interval_90=interval_90,
        seeds_needed=seeds_needed(differences, level, margin) if estimable else None,
        minimum_detectable_effect=minimum_detectable_effect(differences, level) if pair.all_finite else None,
        probability_of_improvement=(
            None
            if pair.p is None
            else probability_of_improvement(pair.arm.values.tolist(), pair.reference.values.tolist())
        ),
        search_luck=luck if math.isfinite(luck) else None,
    )


def _verdict(pair: _PairedResults, p_adjusted: float, interval_90: Interval | None, margin: float) -> Verdict:
    if pair.p is None:
        return Verdict.INCOMPLETE
    if p_adjusted <= SIGNIFICANCE:
        # the sign test knows signs only
        signed = np.sign(pair.differences) if pair.diverged.any() else pair.differences
        return Verdict.WIN if math.fsum(signed) > 0 else Verdict.LOSS
    if interval_90 is not None and -margin <= interval_90.low and interval_90.high <= margin:
        return Verdict.TIE
    return Verdict.UNDECIDED
