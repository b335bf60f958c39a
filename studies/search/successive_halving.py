"""Successive halving (Li et al., 2018, ASHA): the rungs of search runs, and the scores needed to pass them.

A run is compared only with the runs of earlier batches, not with those of its own pack or with all that are done: the
same spec stops the same runs, however they are packed. No run of the first batch is stopped.
"""

import math
from collections.abc import Sequence

from studies.records.rows import Run
from studies.spec.parameters import Direction

#: One in so many runs passes a rung.
REDUCTION = 3
#: Number of rungs; from each to the next, and from the last to the end, steps grow by the factor `REDUCTION`.
RUNGS = 2


def rung_steps(steps: int, steps_per_epoch: int) -> tuple[int, ...]:
    """Return the steps of the rungs: at ends of epochs, and fewer for short runs.

    Args:
        steps: Length of a run.
        steps_per_epoch: Steps of an epoch.

    Example:
        >>> rung_steps(30 * 937, 937)
        (2811, 9370)
    """
    epoch_ends = [steps // REDUCTION**k // steps_per_epoch * steps_per_epoch for k in range(RUNGS, 0, -1)]
    return tuple(sorted({step for step in epoch_ends if step > 0}))


def rung_limits(count: int, earlier: Sequence[Run], direction: Direction) -> tuple[float | None, ...]:
    """Return the worst score that passes each rung; None where every score passes.

    With m earlier runs at a rung, a run passes if it is among the best ceil((m + 1) / 3) of all m + 1. Runs that
    diverged are the worst.

    Args:
        count: Number of rungs.
        earlier: The search runs of earlier batches.
        direction: Which way scores are better.
    """
    sign = direction.sign
    limits: list[float | None] = []
    for rung in range(count):
        ranked = sorted(_oriented(run.rungs[rung], sign) for run in earlier if len(run.rungs) > rung)
        passing = math.ceil((len(ranked) + 1) / REDUCTION)
        limit = sign * ranked[passing - 1] if ranked else None
        limits.append(limit if limit is not None and math.isfinite(limit) else None)
    return tuple(limits)


def _oriented(score: float, sign: float) -> float:
    return math.inf if math.isnan(score) else sign * score
