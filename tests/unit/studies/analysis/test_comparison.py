import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from studies.analysis.comparison import Comparison, Verdict, compare
from studies.analysis.statistics.power import minimum_detectable_effect
from studies.records.rows import Outcome, Rows, Run
from studies.search.selection import score_trials
from studies.spec.definition import Sampler
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec

PAIR = {"l4": Planted(log_loss=-3.0), "other": Planted(log_loss=-3.0)}


def with_losses(losses: Sequence[float], reference: Sequence[float], *, floor: float = 1e-30) -> Comparison:
    """Compare two arms whose confirm seeds end at exactly these losses, infinite for diverged."""
    spec = planted_spec(PAIR, workloads=("bowl",), confirm_seeds=len(losses))
    spec = spec.model_copy(update={"protocol": spec.protocol.model_copy(update={"loss_floor": floor})})
    given = {"other": losses, "l4": reference}

    def ending(run: Run) -> Run:
        if run.stage is Stage.SEARCH:
            return run
        loss = given[run.arm][spec.confirm_seeds.index(run.seed)]
        outcome = Outcome.FINISHED if math.isfinite(loss) else Outcome.DIVERGED
        return replace(run, train_loss=loss, outcome=outcome, metrics={})

    rows = planted_rows(spec, PAIR)
    return compare(spec, replace(rows, runs=tuple(map(ending, rows.runs))))["bowl", "other"]


def test_every_planted_verdict_is_found_on_every_workload() -> None:
    spec = planted_spec(OUTCOMES)
    found = compare(spec, planted_rows(spec, OUTCOMES))
    expected = {
        "better": Verdict.WIN,
        "worse": Verdict.LOSS,
        "same": Verdict.TIE,
        "noisy": Verdict.UNDECIDED,
        "shaky": Verdict.UNDECIDED,
    }
    assert {key: each.verdict for key, each in found.items()} == {
        (workload, arm): verdict for workload in ("bowl", "valley") for arm, verdict in expected.items()
    }


def test_differences_are_decades_and_positive_where_the_arm_is_better() -> None:
    found = with_losses([1e-5] * 6, [1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4])
    assert found.differences == pytest.approx((2.0, 2.0, 2.0, 1.0, 1.0, 1.0))
    assert found.mean_difference == pytest.approx(1.5)
    assert found.interval_95 is not None
    assert found.interval_95.low < 1.5 < found.interval_95.high
    assert found.verdict is Verdict.WIN
    assert found.p == 2 / 2**6


def test_a_metric_is_compared_on_its_own_scale_with_the_better_direction_positive() -> None:
    spec = planted_spec(OUTCOMES, workloads=("bowl",), objective="validation_accuracy", margin=0.005)
    found = compare(spec, planted_rows(spec, OUTCOMES))
    better, worse = found["bowl", "better"], found["bowl", "worse"]
    assert (better.verdict, worse.verdict) == (Verdict.WIN, Verdict.LOSS)
    assert better.mean_difference is not None
    assert 0 < better.mean_difference < 0.1


def test_a_loss_of_zero_is_compared_as_the_floor() -> None:
    found = with_losses([0.0] * 6, [1e-3] * 6, floor=1e-10)
    assert found.differences == pytest.approx((7.0,) * 6)
    both = with_losses([0.0] * 6, [0.0] * 6)
    assert (both.verdict, both.mean_difference, both.p) == (Verdict.TIE, 0.0, 1.0)


def test_a_diverged_run_turns_the_comparison_into_a_sign_test() -> None:
    found = with_losses([1e-5] * 9 + [math.inf], [1e-3] * 10)
    assert found.test == "sign_test"
    assert found.p == pytest.approx(22 / 1024)
    assert found.verdict is Verdict.WIN
    assert found.diverged_pairs == 1
    assert found.differences[-1] is None
    assert (found.mean_difference, found.interval_95, found.interval_90) == (None, None, None)


def test_one_diverged_seed_does_not_outweigh_the_others_by_its_infinity() -> None:
    found = with_losses([math.inf, math.inf, *[1e-5] * 18], [1e-3] * 20)
    assert found.verdict is Verdict.WIN


def test_diverging_everywhere_loses_and_a_reference_that_does_is_beaten() -> None:
    assert with_losses([math.inf] * 8, [1e-3] * 8).verdict is Verdict.LOSS
    assert with_losses([1e-3] * 8, [math.inf] * 8).verdict is Verdict.WIN
    both = with_losses([math.inf] * 8, [math.inf] * 8)
    assert (both.verdict, both.p, both.differences) == (Verdict.UNDECIDED, 1.0, (None,) * 8)


def test_a_single_seed_decides_nothing() -> None:
    found = with_losses([1e-9], [1e-3])
    assert (found.verdict, found.p) == (Verdict.UNDECIDED, 1.0)
    assert found.mean_difference == pytest.approx(6.0)
    assert (found.interval_95, found.seeds_needed) == (None, None)


def test_too_few_seeds_for_the_family_leave_a_clear_difference_undecided() -> None:
    arms = {name: Planted(log_loss=-3.0 - place) for place, name in enumerate(("l4", "a", "b", "c"))}
    spec = planted_spec(arms, workloads=("bowl",), confirm_seeds=6)  # 2 / 2^6 * 3 > 0.05
    found = compare(spec, planted_rows(spec, arms))
    assert {each.verdict for each in found.values()} == {Verdict.UNDECIDED}
    assert {each.p_adjusted for each in found.values()} == {6 / 64}
    assert {each.seeds_needed for each in found.values()} == {7}


def test_a_significant_difference_within_the_margin_is_still_a_win() -> None:
    found = with_losses([0.99e-3] * 8, [1e-3] * 8)
    assert found.verdict is Verdict.WIN


def test_search_runs_are_never_compared() -> None:
    spec = planted_spec(PAIR, workloads=("bowl",))
    rows = planted_rows(spec, PAIR)
    spoilt = tuple(replace(run, train_loss=9.0) if run.stage is Stage.SEARCH else run for run in rows.runs)
    assert compare(spec, replace(rows, runs=spoilt)) == compare(spec, rows)


def test_a_missing_run_leaves_only_its_own_comparisons_incomplete() -> None:
    arms = {**PAIR, "late": Planted(log_loss=-9.0), "early": Planted(log_loss=-9.0)}
    spec = planted_spec(arms, workloads=("bowl",))
    rows = planted_rows(spec, arms)
    left = tuple(run for run in rows.runs if (run.arm, run.seed) != ("late", 1003))
    found = compare(spec, replace(rows, runs=left))
    late = found["bowl", "late"]
    assert (late.verdict, late.p, late.p_adjusted, late.test) == (Verdict.INCOMPLETE, None, None, None)
    assert (late.minimum_detectable_effect, late.probability_of_improvement) == (None, None)
    assert [place for place, value in enumerate(late.differences) if value is None] == [3]
    assert found["bowl", "early"].verdict is Verdict.WIN


def test_the_detectable_effect_is_at_the_strictest_level_that_the_family_can_ask() -> None:
    arms = {**PAIR, "third": Planted(log_loss=-3.0, spread=0.3)}
    spec = planted_spec(arms)
    found = compare(spec, planted_rows(spec, arms))["valley", "third"]
    expected = minimum_detectable_effect([each for each in found.differences if each is not None], 0.05 / 4)
    assert found.minimum_detectable_effect == expected
    assert found.minimum_detectable_effect is not None
    assert found.minimum_detectable_effect > 0


def test_too_few_seeds_and_diverged_pairs_have_no_detectable_effect() -> None:
    assert with_losses([1e-5, 2e-5], [1e-3, 1e-3]).minimum_detectable_effect is None
    assert with_losses([1e-5] * 9 + [math.inf], [1e-3] * 10).minimum_detectable_effect is None


def test_the_probability_of_improvement_counts_ties_half_and_diverged_runs_as_worst() -> None:
    assert with_losses([1e-5, 1e-3], [1e-3, 1e-3]).probability_of_improvement == 0.75
    assert with_losses([math.inf, 1e-5], [1e-3, math.inf]).probability_of_improvement == (0.5 + 0 + 1 + 1) / 4
    assert with_losses([0.0, 1e-40], [0.0, 0.0]).probability_of_improvement == 0.5  # all at the floor


def test_the_probability_of_improvement_goes_by_the_direction() -> None:
    spec = planted_spec(OUTCOMES, workloads=("bowl",), objective="validation_accuracy")
    found = compare(spec, planted_rows(spec, OUTCOMES))
    assert (found["bowl", "better"].probability_of_improvement, found["bowl", "worse"].probability_of_improvement) == (
        1,
        0,
    )


@pytest.mark.parametrize("objective", ["train_loss", "validation_accuracy"])
def test_the_luck_of_a_search_is_from_its_best_to_its_third_and_fixed_arms_have_none(objective: str) -> None:
    spec = sampled(planted_spec(OUTCOMES, workloads=("bowl",), objective=objective), Sampler.RANDOM)
    rows = planted_rows(spec, OUTCOMES)
    found = compare(spec, rows)
    assert found["bowl", "same"].search_luck == 0.0
    values = sorted(spec.objective.oriented(each.value) for each in score_trials(spec, rows, "bowl", "better"))
    assert found["bowl", "better"].search_luck == pytest.approx(values[2] - values[0])
    assert values[2] > values[0]


def test_the_luck_of_a_search_that_draws_nothing_or_too_few_trials_is_not_stated() -> None:
    spec = sampled(planted_spec(OUTCOMES, workloads=("bowl",)), Sampler.RANDOM)
    rows = planted_rows(spec, OUTCOMES)
    few = replace(rows, trials=tuple(each for each in rows.trials if each.number < 2))
    assert compare(spec, few)["bowl", "better"].search_luck is None
    for sampler in (Sampler.GRID, Sampler.TPE):
        assert compare(sampled(spec, sampler), rows)["bowl", "better"].search_luck is None


def sampled(spec: StudySpec, sampler: Sampler) -> StudySpec:
    """The study, searched in another way."""
    return spec.model_copy(update={"protocol": spec.protocol.model_copy(update={"sampler": sampler})})


def test_nothing_trained_is_incomplete() -> None:
    spec = planted_spec(OUTCOMES)
    assert {each.verdict for each in compare(spec, Rows()).values()} == {Verdict.INCOMPLETE}
