"""What a reader reads first."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from studies.report import Report, build_report
from studies.rows import Rows
from tests.unit.studies.planted import Planted, planted_rows, planted_spec, provenance

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
    assert " in 0.678 times its steps; on final training loss: it wins (loss " in found
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


def test_a_tie_is_called_one() -> None:
    same = replace(TUNED, spread=0.02)
    found = reported({"l4": replace(same, best_lr=None, log_loss=-3.985), "adam": same}).headline
    assert ": a tie (by " in found


def test_over_workloads_they_are_counted() -> None:
    found = reported({"l4": L4, "adam": TUNED}, workloads=("bowl", "valley"))
    assert found.headline.startswith("l4, untuned, got to where the best tuned arm ends on 2 of 2 workloads, in 0.65")
    assert found.headline.endswith("(geometric mean, 0.625 to 0.678); against it on final training loss: 2 won.")
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
