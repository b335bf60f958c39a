import math
from dataclasses import replace

import pytest

from studies.analysis.aggregate import Aggregate
from studies.records.rows import Outcome
from studies.reporting.builder import build_report
from studies.reporting.figures.gallery import render_figures
from studies.reporting.report import Report
from studies.reporting.tables.aggregate import aggregate_table
from studies.spec.parameters import Stage
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec, provenance

pytestmark = pytest.mark.heavy

ARMS = {
    "l4": Planted(log_loss=-6.0, spread=0.01),
    "adam": Planted(log_loss=-4.0, best_lr=0.1),
    "sgd": Planted(log_loss=-2.0, best_lr=0.1),
}


def reported(seeds: int, workloads: tuple[str, ...] = ("bowl", "valley")) -> Report:
    spec = planted_spec(ARMS, workloads=workloads, confirm_seeds=seeds)
    return build_report(spec, planted_rows(spec, ARMS), provenance(spec))


def aggregate_of(report: Report) -> Aggregate:
    assert report.across is not None
    return report.across


def test_the_fastest_arm_has_ratio_and_score_1_and_one_that_never_gets_there_0() -> None:
    l4, adam, sgd = aggregate_of(reported(12)).arms
    assert l4.ratios == (1.0, 1.0)
    assert (l4.score, sgd.score) == (1.0, 0.0)
    assert sgd.ratios == (None, None)
    assert all(ratio is not None and 1 < ratio < 4 for ratio in adam.ratios)
    assert adam.score == pytest.approx(sum((4 - (ratio or 4)) / 3 for ratio in adam.ratios) / 2)


def test_the_profile_rises_at_the_ratios() -> None:
    found = aggregate_of(reported(12))
    l4, adam, sgd = found.arms
    assert found.factors[0] == 1.0
    assert found.factors == tuple(sorted({1.0, *(ratio for ratio in adam.ratios if ratio is not None)}))
    assert set(l4.profile) == {1.0}
    assert (adam.profile[0], adam.profile[-1]) == (0.0, 1.0)
    assert set(sgd.profile) == {0.0}


def test_differences_have_an_interval_from_ten_seeds_up_the_same_each_time() -> None:
    reference, adam, _ = aggregate_of(reported(12)).arms
    assert (reference.iqm, reference.iqm_interval_95) == (None, None)
    assert adam.iqm == pytest.approx(-2.0, abs=0.1)
    assert adam.iqm_interval_95 is not None
    assert adam.iqm is not None
    assert adam.iqm_interval_95.low < adam.iqm < adam.iqm_interval_95.high
    assert aggregate_of(reported(12)) == aggregate_of(reported(12))
    few = aggregate_of(reported(9)).arms[1]
    assert few.iqm is not None
    assert few.iqm_interval_95 is None


def test_a_workload_without_a_target_counts_for_no_arm_and_is_named_and_counted() -> None:
    spec = planted_spec(ARMS)
    rows = planted_rows(spec, ARMS)
    runs = tuple(
        replace(run, outcome=Outcome.DIVERGED, train_loss=math.inf, metrics={})
        if run.workload == "valley" and run.arm != "l4" and run.stage is Stage.CONFIRM
        else run
        for run in rows.runs
    )
    rows = replace(rows, runs=runs)
    report = build_report(spec, rows, provenance(spec))
    found = aggregate_of(report)
    assert found.workloads == ("bowl", "valley")
    assert [arm.ratios[1] for arm in found.arms] == [None, None, None]
    assert (found.arms[0].score, found.arms[0].profile[-1]) == (0.5, 0.5)
    (profile,) = [each for each in render_figures(report, rows) if each.name == "performance_profile"]
    assert "On which share of the 2 workloads an arm's" in profile.caption
    assert "a workload without a target counts for no arm" in profile.caption
    table = aggregate_table(report)
    assert table is not None
    assert [row[2].text for row in table.rows] == ["–", "–", "–"]


def test_a_single_workload_has_nothing_across() -> None:
    assert reported(12, ("bowl",)).across is None
    assert aggregate_table(reported(12, ("bowl",))) is None


def test_the_table_says_what_it_is_and_what_is_left_out() -> None:
    table = aggregate_table(reported(9))
    assert table is not None
    assert "no intervals for fewer than 10 seeds" in table.caption
    assert table.headings == ("arm", "bowl", "valley", "score", "mean difference (95 %)")
    assert [cell.text for cell in table.rows[2]][:4] == ["sgd", "never", "never", "0"]


def test_an_arm_of_which_a_run_diverged_has_no_mean_difference() -> None:
    spec = planted_spec(OUTCOMES)
    arms = {
        arm.arm: arm for arm in aggregate_of(build_report(spec, planted_rows(spec, OUTCOMES), provenance(spec))).arms
    }
    assert arms["shaky"].iqm is None
    assert arms["better"].iqm is not None
