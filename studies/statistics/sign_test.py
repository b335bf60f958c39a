"""The sign test on paired differences."""

from collections.abc import Sequence

from scipy import stats


def sign_test(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of positive and negative differences being equally likely.

    Differences of 0 are left out (Dixon & Mood, 1946); infinite ones count by their sign. With none left it is 1.

    Args:
        differences: Paired differences, none of them NaN.
    """
    positive = sum(value > 0 for value in differences)
    negative = sum(value < 0 for value in differences)
    if positive + negative == 0:
        return 1.0
    return float(stats.binomtest(positive, positive + negative).pvalue)
