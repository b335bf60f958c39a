"""Student's confidence interval of a mean."""

from collections.abc import Sequence

import numpy as np
from scipy import special


def t_interval(values: Sequence[float], level: float) -> tuple[float, float] | None:
    """Return mean -+ t((1 + level) / 2, n - 1) s / sqrt(n), or None for fewer than two values.

    Args:
        values: Finite numbers.
        level: Coverage, between 0 and 1, as in 0.95.
    """
    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * float(np.std(values, ddof=1)) / n**0.5
    return mean - half, mean + half
