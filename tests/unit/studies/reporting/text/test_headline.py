"""What a reader reads first."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from studies.records.rows import Outcome, Rows
from studies.reporting.builder import build_report
from studies.reporting.report import Report
from studies.spec.definition import Sampler
from studies.spec.parameters import Stage
from tests.support.planted_studies import Planted, planted_rows, planted_spec, provenance

L4 = Planted(log_loss=-6.0, spread=0.05)
TUNED = Planted(log_loss=-4.0, best_lr=0.1, spread=0.05)


def reported(
    arms: Mapping[str, Planted], *, workloads: tuple[str, ...] = ("bowl",), reference: str = "l4", seeds: int = 12
) -> Report:
    spec = planted_spec(arms, workloads=workloads, reference=reference, confirm_seeds=seeds)
    return build_report(spec, planted_rows(spec, arms), provenance(spec))


def test_an_untuned_arm_that_wins_says_how_much_sooner_and_lower() -> None:
    found = reported({"l4": L4, "adam": TUNED}).headline
    assert found.startswith("l4, untuned, got to where adam, tuned with 9 trials, ends (a training loss of 0.000")
    assert " in 0.687 times its steps; on final training loss: it wins (loss " in found
    assert found.endswith(" times lower) with 12 seeds.")


def test_the_finding_is_the_same_whichever_arm_is_the_reference() -> None:
    assert "it wins" in reported({"l4": L4, "adam": TUNED}, reference="adam").headline
    assert reported({"l4": L4, "adam": TUNED}, reference="adam").headline.startswith("l4, untuned, got to")


def test_an_arm_that_loses_says_that_it_never_gets_there() -> None:
    found = reported({"l4": replace(L4, log_loss=-2.0), "adam": TUNED}).headline
    assert "did not get to where adam, tuned with 9 trials, ends" in found
    assert "on any of 12 seeds; on final training loss: it loses (loss " in found


def test_an_undecided_one_says_how_many_seeds_it_would_take() -> None:
    found = reported({"l4": L4, "adam": TUNED}, seeds=5).headline
    assert "on final training loss: undecided with 5 seeds; it would take about " in found


def test_of_a_single_seed_nothing_is_said_of_what_it_would_take() -> None:
    assert reported({"l4": L4, "adam": TUNED}, seeds=1).headline.endswith("training loss: undecided with 1 seed.")
    alike = replace(L4, log_loss=-4.03, spread=20.0)
    assert reported({"l4": alike, "adam": TUNED}, seeds=4).headline.endswith("it would take more than 10,000.")


def test_a_tie_is_called_one() -> None:
    same = replace(TUNED, spread=0.02)
    found = reported({"l4": replace(same, best_lr=None, log_loss=-3.985), "adam": same}).headline
    assert ": a tie (by " in found


def test_over_workloads_they_are_counted() -> None:
    found = reported({"l4": L4, "adam": TUNED}, workloads=("bowl", "valley"))
    assert found.headline.startswith("l4, untuned, got to where the best tuned arm ends on 2 of 2 workloads, in 0.67")
    assert found.headline.endswith("(geometric mean, 0.661 to 0.687); against it on final training loss: 2 won.")
    assert [workload.headline[:14] for workload in found.workloads] == ["l4, untuned, g"] * 2


@pytest.mark.parametrize("workloads", [("bowl",), ("bowl", "valley")])
def test_without_a_verdict_it_says_so(workloads: tuple[str, ...]) -> None:
    spec = planted_spec({"l4": L4, "adam": TUNED}, workloads=workloads)
    said = "No arm is complete with another one to compare it with, so there is no verdict."
    assert build_report(spec, Rows(), provenance(spec)).headline == said
    assert reported({"l4": L4}, workloads=workloads).headline == said


def test_a_win_by_less_than_the_search_owes_to_luck_says_so() -> None:
    shallow = replace(TUNED, log_loss=-4.0, spread=0.01)
    near = {"l4": replace(L4, log_loss=-4.15, spread=0.01), "adam": shallow}
    spec = planted_spec(near, workloads=("bowl",))
    drawn = spec.model_copy(update={"protocol": spec.protocol.model_copy(update={"sampler": Sampler.RANDOM})})
    found = build_report(drawn, planted_rows(drawn, near), provenance(drawn))
    assert "it wins" in found.headline
    assert found.headline.endswith("by less than the search owes to luck.")
    assert any("adam wins or loses by less than the searches owe to luck" in warning for warning in found.warnings)


@pytest.mark.parametrize("reference", ["l4", "adam"])
def test_against_a_tuned_arm_that_diverges_there_is_a_verdict_and_no_speed(reference: str) -> None:
    lost = replace(TUNED, diverged_seeds=99)
    found = reported({"l4": L4, "adam": lost}, reference=reference).headline
    assert found == (
        "l4, untuned, against adam, tuned with 9 trials, on final training loss: it wins "
        "(a run diverged in 12 of 12 pairs) with 12 seeds."
    )


def test_over_workloads_one_without_a_target_counts_with_its_verdict() -> None:
    arms = {"l4": L4, "adam": TUNED}
    spec = planted_spec(arms, workloads=("bowl", "valley"))
    rows = planted_rows(spec, arms)
    runs = tuple(
        replace(run, outcome=Outcome.DIVERGED, train_loss=math.inf, metrics={})
        if (run.workload, run.arm, run.stage) == ("valley", "adam", Stage.CONFIRM)
        else run
        for run in rows.runs
    )
    found = build_report(spec, replace(rows, runs=runs), provenance(spec)).headline
    assert "ends on 1 of 1 workload with a target, in 0.687 times its steps; against it on final" in found
    assert found.endswith(": 2 won.")
    lost = reported({"l4": L4, "adam": replace(TUNED, diverged_seeds=99)}, workloads=("bowl", "valley")).headline
    assert lost == "l4, untuned, against the best tuned arm on final training loss: 2 won."


def unfinished(arm: str, kept: int) -> Report:
    """A report after so many of an arm's confirm runs."""
    arms = {"l4": L4, "adam": TUNED, "sgd": replace(TUNED, log_loss=-3.0)}
    spec = planted_spec(arms, workloads=("bowl",))
    rows = planted_rows(spec, arms)
    own = [run for run in rows.runs if (run.arm, run.stage) == (arm, Stage.CONFIRM)]
    runs = tuple(run for run in rows.runs if run not in own[kept:])
    return build_report(spec, replace(rows, runs=runs), provenance(spec))


@pytest.mark.parametrize("kept", [0, 5])
def test_nothing_is_said_of_the_speed_of_an_arm_whose_runs_are_not_all_done(kept: int) -> None:
    found = unfinished("l4", kept)
    assert found.headline == (
        "l4, untuned, against adam, tuned with 9 trials, on final training loss: not all seeds are done."
    )
    assert found.workloads[0].target is not None
    assert found.workloads[0].target.for_arm("l4").ratio is None


def test_no_arm_sets_a_target_while_a_tuned_one_that_may_is_not_done() -> None:
    for arm in ("adam", "sgd"):
        found = unfinished(arm, 5)
        assert found.workloads[0].target is None
        assert found.headline.endswith("so there is no verdict.")
