"""Successive halving (Li et al., 2018, ASHA): where search runs are judged, and what they must reach to go on.

A run is judged by the runs of earlier batches alone, never by those beside it in its pack or by whichever happen to be
done: the same spec stops the same runs, however they are packed. The first batch has none before it, and is whole.
"""

import math
from collections.abc import Sequence

from studies.records.rows import Run
from studies.spec.parameters import Direction

#: At each rung the best of so many go on.
REDUCTION = 3
#: Rungs of a run, a reduction apart in steps, the last one a reduction before its end.
RUNGS = 2


def rungs(steps: int, steps_per_epoch: int) -> tuple[int, ...]:
    """Return after which steps runs are judged: at ends of epochs, fewer times where runs are short.

    Args:
        steps: Length of a run.
        steps_per_epoch: Steps of an epoch.

    Example:
        >>> rungs(30 * 937, 937)
        (2811, 9370)
    """
    shares = [steps // REDUCTION**k // steps_per_epoch * steps_per_epoch for k in range(RUNGS, 0, -1)]
    return tuple(sorted({step for step in shares if step > 0}))


def limits(count: int, earlier: Sequence[Run], direction: Direction) -> tuple[float | None, ...]:
    """Return the worst score at each rung that goes on; None for any.

    With m runs that were judged there before, one more goes on if it is among the best ceil((m + 1) / 3) of all. Those
    that diverged on their way are the worst.

    Args:
        count: Rungs of a run.
        earlier: The search runs of earlier batches.
        direction: Which way scores are better.
    """
    sign = direction.sign
    found: list[float | None] = []
    for rung in range(count):
        judged = sorted(_rank(run.rungs[rung], sign) for run in earlier if len(run.rungs) > rung)
        best = math.ceil((len(judged) + 1) / REDUCTION)
        limit = sign * judged[best - 1] if judged else None
        found.append(limit if limit is not None and math.isfinite(limit) else None)
    return tuple(found)


def _rank(score: float, sign: float) -> float:
    return math.inf if math.isnan(score) else sign * score
