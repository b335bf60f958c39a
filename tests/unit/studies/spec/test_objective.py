"""Objectives: which are losses, and their comparison scale."""

import math

import pytest

from studies.spec.objective import Objective, is_loss
from studies.spec.parameters import Direction

LOSS = Objective(name="train_loss", direction=Direction.MINIMIZE, loss_floor=1e-30)
ACCURACY = Objective(name="validation_accuracy", direction=Direction.MAXIMIZE, loss_floor=1e-30)


def test_only_losses_have_a_logarithm() -> None:
    assert is_loss("train_loss")
    assert not is_loss("validation_accuracy")
    assert LOSS.to_comparison_scale(1e-3) == pytest.approx(-3.0)
    assert ACCURACY.to_comparison_scale(0.9) == 0.9


def test_a_loss_of_zero_counts_as_the_floor() -> None:
    assert LOSS.to_comparison_scale(0.0) == pytest.approx(-30.0)


@pytest.mark.parametrize("objective", [LOSS, ACCURACY])
def test_oriented_values_are_smaller_where_better(objective: Objective) -> None:
    better, worse = (0.1, 0.2) if objective.direction is Direction.MINIMIZE else (0.2, 0.1)
    assert objective.oriented(better) < objective.oriented(worse) < objective.oriented(objective.worst) == math.inf
    assert objective.from_oriented(objective.oriented(0.1)) == pytest.approx(0.1)
