"""How many trials a search needs to match what needs none."""

from bisect import bisect_left
from collections.abc import Sequence

from studies.statistics.expected_best import expected_best


def break_even(scores: Sequence[float], fixed: float) -> int | None:
    """Return the smallest k whose expected best score is at most the fixed arm's, None where no k's is.

    Args:
        scores: One a trial of the search, smaller being better; infinite where it diverged. Exchangeable, as for
            `expected_best`.
        fixed: Score of the fixed arm's single trial, on the same search seeds; infinite where it diverged.
    """
    # the expected best never rises with k
    k = 1 + bisect_left(range(1, len(scores) + 1), x=True, key=lambda k: expected_best(scores, k) <= fixed)
    return k if k <= len(scores) else None
