import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from studies.analysis.arm_report import ArmReport
from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.report import Report
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, Planted, planted_rows, planted_spec, provenance

DIVERGING = Planted(log_loss=-3.0, best_lr=0.1, diverges_above=0.0, diverged_seeds=99)


def reported(arms: Mapping[str, Planted], *, confirm_seeds: int = 12, objective: str = "train_loss") -> Report:
    spec = planted_spec(arms, workloads=("bowl",), confirm_seeds=confirm_seeds, objective=objective)
    return build_report(spec, planted_rows(spec, arms), provenance(spec))


def arm_of(report: Report, name: str) -> ArmReport:
    return next(arm for arm in report.workloads[0].arms if arm.arm == name)


def rows_of(spec: StudySpec) -> Rows:
    return planted_rows(spec, OUTCOMES)


def test_the_verdict_sentence_says_who_wins_loses_ties_and_what_is_open() -> None:
    verdict = reported(OUTCOMES).workloads[0].verdict
    assert "the lowest final training loss is that of better, 0.000101. Against" in verdict
    assert (
        "Against the reference l4: better (loss 10.3 times lower) wins; worse (loss 9.41 times higher) loses" in verdict
    )
    assert "same (by +0.0282 decades) ties" in verdict
    assert "noisy (it would take about" in verdict
    assert "shaky (a run diverged in 2 of 12 pairs) are undecided." in verdict


def test_an_arm_states_its_setting_search_summaries_and_cost() -> None:
    better = arm_of(reported(OUTCOMES), "better")
    assert better.setting == {"momentum": 0.9, "lr": pytest.approx(10**-1.125)}
    assert (better.kind, better.is_reference, better.complete) == ("searched", False, True)
    assert (len(better.search.trials), better.search.diverged, better.search.closed) == (9, 1, True)
    assert better.search.trials[-1].score is None
    loss = better.summary("train_loss")
    losses = [seed.train_loss for seed in better.seeds if seed.train_loss is not None]
    assert loss is not None
    assert loss.center == pytest.approx(10 ** (sum(map(math.log10, losses)) / 12))
    assert (loss.lowest, loss.highest, loss.seeds) == (min(losses), max(losses), 12)
    accuracy = better.summary("test_accuracy")
    accuracies = [seed.metrics["test_accuracy"] or 0.0 for seed in better.seeds]
    assert accuracy is not None
    assert accuracy.center == pytest.approx(sum(accuracies) / 12)
    assert better.objective == loss
    assert (better.tuning_cost.trials, better.tuning_cost.runs) == (9, 9)
    assert better.tuning_cost.steps == 8 * 200 + 100  # one trial diverged half way
    assert better.tuning_cost.seconds == 3.0  # two packs


def test_the_optimism_gap_is_positive_where_the_search_was_lucky() -> None:
    spec = planted_spec(OUTCOMES, workloads=("bowl",))
    rows = rows_of(spec)
    lucky = tuple(
        replace(run, train_loss=run.train_loss / 100) if run.stage is Stage.SEARCH else run for run in rows.runs
    )
    plain, gap = (
        arm_of(build_report(spec, each, provenance(spec)), "better").optimism_gap
        for each in (rows, replace(rows, runs=lucky))
    )
    assert plain is not None
    assert gap == pytest.approx(plain + 2.0)


def test_the_optimism_gap_of_a_maximised_metric_has_the_same_sign() -> None:
    better = arm_of(reported(OUTCOMES, objective="validation_accuracy"), "better")
    assert better.search_score is not None
    assert better.confirm_score is not None
    assert better.optimism_gap == pytest.approx(better.search_score - better.confirm_score)


def test_means_are_over_the_seeds_that_finished_and_the_others_are_counted() -> None:
    report = reported(OUTCOMES)
    shaky = arm_of(report, "shaky")
    loss = shaky.summary("train_loss")
    assert (shaky.diverged, loss and loss.seeds) == (2, 10)
    assert [seed.train_loss for seed in shaky.seeds[:2]] == [None, None]
    assert "bowl, shaky: 2 of 12 confirm seeds diverged." in report.warnings


def test_an_arm_that_diverged_throughout_is_reported_without_numbers() -> None:
    report = reported({"l4": Planted(log_loss=-3.0), "sgd": DIVERGING})
    sgd = arm_of(report, "sgd")
    assert (sgd.objective, sgd.search_score, sgd.confirm_score, sgd.optimism_gap) == (None, None, None, None)
    assert sgd.summaries == ()
    assert sgd.search.diverged == len(sgd.search.trials) >= 9
    assert sgd.setting is not None
    assert "bowl, sgd: every trial of its search diverged; the chosen setting is the one that lasted longest." in (
        report.warnings
    )
    assert "sgd (a run diverged in 12 of 12 pairs) loses" in report.workloads[0].verdict


def test_a_reference_that_diverged_throughout_is_no_obstacle() -> None:
    report = reported({"l4": replace(OUTCOMES["l4"], diverged_seeds=99), "other": Planted(log_loss=-3.0)})
    assert "other (a run diverged in 12 of 12 pairs) wins" in report.workloads[0].verdict


def test_a_range_that_stays_open_is_a_warning() -> None:
    arms = {"l4": Planted(log_loss=-3.0), "sgd": Planted(log_loss=-3.0, best_lr=1e6, diverges_above=1e9)}
    report = reported(arms)
    sgd = arm_of(report, "sgd")
    assert (sgd.search.closed, sgd.search.extensions, sgd.search.ranges["lr"].high) == (False, 2, 100.0)
    assert any(text.startswith("bowl, sgd: range not closed") for text in report.warnings)
    assert arm_of(report, "l4").search.closed is True


def test_a_single_confirm_seed_has_no_interval() -> None:
    report = reported(OUTCOMES, confirm_seeds=1)
    loss = arm_of(report, "better").summary("train_loss")
    assert loss is not None
    assert loss.interval_95 is None
    assert any("confirm seeds cannot reach significance" in text for text in report.warnings)


def test_a_single_arm_is_compared_with_nothing() -> None:
    report = reported({"l4": Planted(log_loss=-3.0)})
    assert report.workloads[0].verdict.endswith("There is a single arm, so nothing is compared.")
    assert report.workloads[0].arms[0].comparison is None


def test_a_loss_of_zero_is_said_to_count_as_the_floor() -> None:
    report = reported({"l4": Planted(log_loss=-math.inf), "sgd": OUTCOMES["better"]})
    loss = arm_of(report, "l4").summary("train_loss")
    assert loss is not None
    assert (loss.center, loss.lowest) == (pytest.approx(1e-30), 0.0)
    assert "bowl, l4: 12 of 12 confirm seeds ended below the loss floor and count as it." in report.warnings


@pytest.mark.parametrize(
    ("trials", "seeds", "said"),
    [
        (0, 0, "its search ended after 0 trials."),
        (3, 0, "its search ended after 3 trials."),
        (99, 0, "0 of 12 confirm seeds done."),
        (99, 4, "4 of 12 confirm seeds done."),
    ],
)
def test_a_study_that_was_cancelled_says_what_is_missing(trials: int, seeds: int, said: str) -> None:
    spec = planted_spec(OUTCOMES, workloads=("bowl",))
    rows = rows_of(spec)
    kept = tuple(
        run
        for run in rows.runs
        if (run.trial < trials if run.stage is Stage.SEARCH else run.seed in spec.confirm_seeds[:seeds])
    )
    report = build_report(spec, replace(rows, runs=kept), provenance(spec))
    assert not report.complete
    assert f"bowl, better: incomplete, {said}" in report.warnings
    assert "are incomplete" in report.workloads[0].verdict
    assert report.workloads[0].verdict.startswith("No arm has a final training loss on every confirm seed.")


def test_every_report_says_what_intervals_cover_and_prints_the_floor() -> None:
    notes = reported(OUTCOMES).notes
    assert notes[0] == "Intervals cover seeds, not the luck of the search."
    assert any("Losses below 1e-30 count as 1e-30" in note for note in notes)


def test_two_studies_of_one_spec_differ_in_provenance_and_seconds_only() -> None:
    spec = planted_spec(OUTCOMES)
    rows = rows_of(spec)
    slower = tuple(replace(pack, seconds=99.0, host="elsewhere") for pack in rows.packs)
    one = build_report(spec, rows, provenance(spec, "one")).model_dump(mode="json")
    two = build_report(spec, replace(rows, packs=slower), provenance(spec, "two")).model_dump(mode="json")
    assert one != two
    assert without_volatile(one) == without_volatile(two)


def without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        known = cast(dict[str, Any], value)
        return {key: without_volatile(item) for key, item in known.items() if key not in {"provenance", "seconds"}}
    return [without_volatile(item) for item in cast(list[Any], value)] if isinstance(value, list) else value


def test_hosts_come_from_the_packs() -> None:
    assert reported(OUTCOMES).provenance.hosts == ("here",)


def test_a_report_reads_back_from_its_json() -> None:
    report = reported(OUTCOMES)
    text = json.dumps(report.model_dump(mode="json"), allow_nan=False)
    assert Report.model_validate_json(text) == report


def test_the_lowest_mean_is_said_to_be_of_the_arms_without_a_diverged_seed_where_others_have_one() -> None:
    verdict = reported(OUTCOMES).workloads[0].verdict
    assert verdict.startswith("Of the arms without a diverged seed, the lowest final training loss is that of better")
    whole = {name: OUTCOMES[name] for name in ("l4", "better")}
    assert reported(whole).workloads[0].verdict.startswith("The lowest final training loss is that of better, ")
