"""Thousands of studies whose truth is known, through the real plan, choice, comparison and report.

Losses are drawn instead of trained: log10 of a run's loss is the arm's true mean, plus noise of the run, plus what all
runs of that seed on that workload have in common. Searches choose the luckiest of settings that are all alike, so that
whatever of their choice leaked into the comparison would show as false wins.
"""

from collections.abc import Mapping

import numpy as np
import pytest

from studies.analysis.comparison import Comparison, Verdict, compare
from studies.analysis.statistics.power import minimum_detectable_effect, paired_t_power, seeds_needed
from studies.reporting.builder import build_report
from studies.spec.study import StudySpec
from tests.support.planted_studies import Planted, planted_rows, planted_spec, provenance

pytestmark = pytest.mark.slow

STUDIES = 2000
SEEDS = 10
#: Standard deviation of log10 of a loss from seed to seed, beside what the arms have in common.
SPREAD = 0.1
#: The same of a difference of two arms.
DIFFERENCE_SPREAD = 2**0.5 * SPREAD
TESTS = 6
#: What Bonferroni leaves to each of them; Holm's correction is between this and 0.05.
STRICTEST = 0.05 / TESTS


def shaped(spread: float, n: int) -> list[float]:
    """Return n numbers with exactly the mean 0 and that standard deviation."""
    values = np.arange(n) - (n - 1) / 2
    return (spread * values / values.std(ddof=1)).tolist()


def detectable(level: float) -> float:
    """Return the difference that the report calls detectable, were the spread known exactly."""
    found = minimum_detectable_effect(shaped(DIFFERENCE_SPREAD, SEEDS), level)
    assert found is not None
    return found


def searched(log_loss: float, diverging: float = 0.0) -> Planted:
    """Return an arm whose search has nothing to find: all settings are alike."""
    return Planted(log_loss=log_loss, spread=SPREAD, best_lr=0.1, curvature=0.0, diverging=diverging)


def reported(spec: StudySpec, arms: Mapping[str, Planted], repetition: int) -> dict[tuple[str, str], Comparison]:
    """Return what the report of one study says, by (workload, arm)."""
    report = build_report(spec, planted_rows(spec, arms, repetition), provenance(spec))
    assert report.complete
    return {
        (workload.workload, arm.arm): arm.comparison
        for workload in report.workloads
        for arm in workload.arms
        if arm.comparison is not None
    }


def share(values: list[bool]) -> float:
    return float(np.mean(values))


def test_a_winner_a_tie_and_a_loser_are_told_apart() -> None:
    """Power as predicted: between that of Bonferroni's level, the report's, and that of a single test."""
    effect = detectable(STRICTEST)
    arms = {
        "l4": Planted(log_loss=-3.0, spread=SPREAD),
        "winner": searched(-3.0 - effect),
        "tie": searched(-3.0),
        "loser": searched(-3.0 + effect),
    }
    spec = planted_spec(arms, confirm_seeds=SEEDS)
    found = [reported(spec, arms, repetition) for repetition in range(STUDIES)]
    right = {"winner": {Verdict.WIN}, "tie": set[Verdict](), "loser": {Verdict.LOSS}}
    false = [
        any(each.verdict in {Verdict.WIN, Verdict.LOSS} - right[arm] for (_, arm), each in study.items())
        for study in found
    ]
    assert share(false) <= 0.06
    error = 4 * (0.8 * 0.2 / STUDIES) ** 0.5
    alone = paired_t_power(effect / DIFFERENCE_SPREAD, SEEDS, 0.05)
    for arm, verdict in (("winner", Verdict.WIN), ("loser", Verdict.LOSS)):
        for workload in ("bowl", "valley"):
            power = share([study[workload, arm].verdict is verdict for study in found])
            assert 0.8 - error <= power <= alone + error
            said = [study[workload, arm].minimum_detectable_effect for study in found]
            # a standard deviation of ten values is 0.973 of the true one on average
            assert float(np.mean([each for each in said if each])) == pytest.approx(0.973 * effect, rel=0.02)


@pytest.mark.parametrize("diverging", [0.0, 0.02])
def test_where_all_arms_are_alike_hardly_any_study_says_otherwise(diverging: float) -> None:
    arms = {
        "l4": Planted(log_loss=-3.0, spread=SPREAD, diverging=diverging),
        **{name: searched(-3.0, diverging) for name in ("one", "two", "three")},
    }
    spec = planted_spec(arms, confirm_seeds=SEEDS)
    found = [compare(spec, planted_rows(spec, arms, repetition)) for repetition in range(STUDIES)]
    assert {each.test for study in found for each in study.values()} >= {"sign_flip"}
    assert any(each.test == "sign_test" for study in found for each in study.values()) == (diverging > 0)
    false = [any(each.verdict in {Verdict.WIN, Verdict.LOSS} for each in study.values()) for study in found]
    assert share(false) <= 0.06


def rate(arm: Planted, verdict: Verdict, *, seeds: int = SEEDS, margin: float = 0.0) -> float:
    """Return the share of studies of that arm against the reference alone that say so."""
    arms = {"l4": Planted(log_loss=-3.0, spread=SPREAD), "arm": arm}
    spec = planted_spec(arms, workloads=("bowl",), confirm_seeds=seeds, margin=margin)
    found = [
        compare(spec, planted_rows(spec, arms, repetition))["bowl", "arm"].verdict for repetition in range(STUDIES)
    ]
    return share([each is verdict for each in found])


def test_one_comparison_finds_what_it_calls_detectable_with_the_power_that_it_says() -> None:
    assert rate(searched(-3.0 - detectable(0.05)), Verdict.WIN) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("effect", [0.75, 1.0])
def test_the_seeds_that_an_undecided_study_asks_for_decide_it(effect: float) -> None:
    difference = effect * DIFFERENCE_SPREAD
    pilot = [difference + each for each in shaped(DIFFERENCE_SPREAD, 6)]
    needed = seeds_needed(pilot, 0.05, 0.0)
    assert needed is not None
    predicted = paired_t_power(effect, needed, 0.05)
    found = rate(searched(-3.0 - difference), Verdict.WIN, seeds=needed)
    assert found == pytest.approx(predicted, abs=0.03)


def test_a_difference_as_large_as_the_margin_is_seldom_called_a_tie() -> None:
    assert rate(searched(-3.1), Verdict.TIE, margin=0.1) <= 0.05 + 4 * (0.05 * 0.95 / STUDIES) ** 0.5
    assert rate(searched(-3.0), Verdict.TIE, margin=0.2) >= 0.9
