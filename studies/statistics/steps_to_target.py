"""When a run first reaches a target."""

import math
from collections.abc import Sequence


def steps_to_target(steps: Sequence[int], values: Sequence[float], target: float) -> float:
    """Return the first recorded step whose value is at most the target, infinite where none is.

    What is never reached stays infinite, also in a median over seeds: nothing is put in its place.

    Args:
        steps: Rising.
        values: One a step, smaller being better; NaN reaches nothing.
        target: On the scale of the values.

    Example:
        >>> steps_to_target([10, 20, 30], [3.0, 0.5, 0.7], 1.0), steps_to_target([10], [3.0], 1.0)
        (20.0, inf)
    """
    return float(next((step for step, value in zip(steps, values, strict=True) if value <= target), math.inf))
