"""The differences of two arms, seed by seed."""

import numpy as np
from numpy.typing import NDArray


def paired_differences(mine: NDArray[np.floating], theirs: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return theirs - mine for each seed, positive where mine is smaller, and so better.

    Two runs that both diverged are alike: their difference is 0. One that diverged alone makes it infinite.

    Args:
        mine: (seeds,), infinite where the run diverged, NaN where it is missing.
        theirs: (seeds,), likewise, of the same seeds in the same order.

    Returns:
        (seeds,); NaN where either is missing.
    """
    return np.subtract(theirs, mine, out=np.zeros(len(mine)), where=mine != theirs)
