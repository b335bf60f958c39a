"""The geometric mean of losses."""

from collections.abc import Sequence

import numpy as np


def geometric_mean(values: Sequence[float], floor: float) -> float:
    """Return 10 to the mean of log10(max(value, floor)).

    Args:
        values: At least one number, none of them negative; infinity gives infinity.
        floor: Positive; smaller values count as it, so that 0 has a logarithm.
    """
    return float(10.0 ** np.mean(np.log10(np.maximum(values, floor))))
