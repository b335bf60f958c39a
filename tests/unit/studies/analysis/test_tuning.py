from dataclasses import replace

import pytest

from studies.analysis.tuning import Tuning
from studies.records.rows import Limit
from studies.reporting.builder import build_report
from studies.spec.definition import Pruner, Sampler
from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, planted_rows, planted_spec, provenance

SPEC = planted_spec(OUTCOMES, workloads=("bowl",))
ROWS = planted_rows(SPEC, OUTCOMES)


def tuning_of(arm: str, spec: StudySpec = SPEC) -> Tuning:
    arms = build_report(spec, ROWS, provenance(spec)).workloads[0].arms
    return next(each.tuning for each in arms if each.arm == arm)


def changed(**protocol: object) -> StudySpec:
    return SPEC.model_copy(update={"protocol": SPEC.protocol.model_copy(update=protocol)})


def test_best_so_far_falls_and_ends_with_all_that_was_spent() -> None:
    found = tuning_of("better").best_so_far
    scores = [each.score for each in found]
    assert scores == sorted(scores, key=lambda score: -(score or 0.0))
    assert found[0].steps == 200
    assert found[-1].steps == 8 * 200 + 100
    assert found[-1].trial == 8


def test_expected_best_falls_to_the_best_and_is_infinite_while_all_may_have_diverged() -> None:
    found = tuning_of("better")
    assert [each.trials for each in found.expected_best] == list(range(1, 10))
    assert found.expected_best[0].mean is None  # one of nine diverged
    assert found.expected_best[0].median is not None
    assert found.expected_best[-1].mean == pytest.approx(found.best_so_far[-1].score)
    means = [each.mean for each in found.expected_best if each.mean is not None]
    assert means == sorted(means, reverse=True)


def test_break_even_is_with_the_reference_that_is_not_tuned() -> None:
    better, worse = tuning_of("better").break_even, tuning_of("worse").break_even
    assert better is not None
    assert worse is not None
    assert (better.arm, better.trials) == ("l4", 2)
    assert worse.trials is None
    assert tuning_of("l4").break_even is None


@pytest.mark.parametrize("protocol", [{"sampler": Sampler.TPE}, {"pruner": Pruner.ASHA}, {"trials": 12}])
def test_nothing_is_expected_of_trials_that_are_not_exchangeable(protocol: dict[str, object]) -> None:
    found = tuning_of("better", changed(**protocol))
    assert found.expected_best == ()
    assert found.break_even is None
    assert found.best_so_far


def test_nothing_is_expected_of_a_search_that_a_budget_of_time_cut() -> None:
    rows = replace(ROWS, reached=Limit.SECONDS, runs=tuple(run for run in ROWS.runs if run.trial < 6))
    arms = build_report(SPEC, rows, provenance(SPEC)).workloads[0].arms
    assert arms[1].search.cut
    assert arms[1].tuning.expected_best == ()


def test_the_usable_range_is_within_a_factor_of_two_of_the_best_loss() -> None:
    found = tuning_of("better").usable
    assert found is not None
    assert (found.hyperparameter, found.open_below, found.open_above) == ("lr", False, False)
    assert found.low < 0.1 < found.high * 1.5
    assert found.decades == pytest.approx(0.75)
    assert tuning_of("l4").usable is None


def test_a_pruned_search_has_no_usable_range() -> None:
    assert tuning_of("better", changed(pruner=Pruner.ASHA)).usable is None
