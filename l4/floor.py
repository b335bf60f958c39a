"""An estimate of a loss's floor, for losses that cannot reach zero: it rises while steps gain less than they promise.

Not of the paper. As in Polyak step sizes with an unknown optimum, a goal that is not reached is raised towards the best
value seen (Goffin and Kiwiel, 1999; Hazan and Kakade, 2019); here step by step, and judged by averages.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from l4.averages import ema

#: Timescale in steps of the averages and of the rise, that of the gradient estimate; and the part of what a step
#: promises that it has to gain: half, as even exact line searches gain half of the linear prediction.
TAU_FLOOR, ENOUGH = 10.0, 0.5


class Floor(NamedTuple):
    """What is known of the floor; all 0-dim float64.

    Args:
        floor: The estimate.
        last: The loss of the step before; NaN before the first.
        gained: Average of the losses' decreases.
        promised: Average of the decreases that the linearised loss had, eta g.v.
    """

    floor: Tensor
    last: Tensor
    gained: Tensor
    promised: Tensor


def follow(known: Floor, loss: Tensor, promise: Tensor, l_min: Tensor) -> tuple[Floor, Tensor]:
    """Return what is known after one more loss, and L_min above the new floor.

    Args:
        known: What was known.
        loss: The batch loss.
        promise: eta g.v of the step before.
        l_min: L_min above the old floor.
    """
    begun = ~known.last.isnan()
    gained = torch.where(begun, ema(known.gained, known.last - loss, TAU_FLOOR), 0.0)
    promised = torch.where(begun, ema(known.promised, promise, TAU_FLOOR), 0.0)
    drop = torch.clamp(loss - known.floor, max=0.0)
    stalled = begun & (gained < ENOUGH * promised)
    rise = torch.where(stalled, torch.minimum(l_min, loss - known.floor) / TAU_FLOOR, 0.0).clamp(min=0.0)
    change = torch.where(drop < 0, drop, rise)
    return Floor(floor=known.floor + change, last=loss, gained=gained, promised=promised), l_min - change
