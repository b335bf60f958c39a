"""How far the best trials of a search lie apart: what its result owes to which settings it happened to try."""

import math
from collections.abc import Sequence

#: The trial that the best is compared with, counting from 1.
RANK = 3


def search_luck(scores: Sequence[float]) -> float:
    """Return by how much the third best trial is worse than the best, infinite with fewer trials.

    A yardstick and no test: of two searches of one optimizer that try other settings at random, what they choose
    differs by more than the sum of both in a few per cent of all cases, as tests/integration/test_same_optimizer.py
    measures. Of a search that closes in on its best, as TPE, it says too little; a grid is where it is by choice.

    Args:
        scores: One a trial, smaller being better; infinite where it diverged.

    Example:
        >>> search_luck([-1.0, -3.0, -2.5, -2.75])
        0.5
    """
    third = sorted(scores)[RANK - 1] if len(scores) >= RANK else math.inf
    return third - min(scores) if math.isfinite(third) else math.inf
