"""An estimate of a loss's floor, for losses that cannot reach zero.

The floor rises while steps decrease the loss by less than its linearisation predicts. This is not part of the paper. As
in Polyak step sizes with an unknown optimum, a goal that is not reached is raised towards the best value seen (Goffin
and Kiwiel, 1999; Hazan and Kakade, 2019); here in every step, decided by moving averages.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from l4.averages import ema

#: Timescale in steps of the averages and of the rise, that of the gradient estimate.
TAU_FLOOR = 10.0
#: Least share of the predicted decrease that steps have to reach: on a quadratic, exact line searches reach half.
MIN_GAIN = 0.5


class Floor(NamedTuple):
    """State of the floor's estimate; all 0-dim float64.

    Args:
        floor: The estimate.
        last: The loss of the previous step; NaN before the first.
        gained: Average of the loss's decrease in a step.
        promised: Average of the linearised loss's decrease in a step, eta g.v.
    """

    floor: Tensor
    last: Tensor
    gained: Tensor
    promised: Tensor


def update_floor(state: Floor, loss: Tensor, promise: Tensor, l_min: Tensor) -> tuple[Floor, Tensor]:
    """Return the state after one more loss, and L_min above the new floor.

    Args:
        state: The state before.
        loss: The batch loss.
        promise: eta g.v of the previous step.
        l_min: L_min above the old floor.
    """
    has_previous = ~state.last.isnan()
    gained = torch.where(has_previous, ema(state.gained, state.last - loss, TAU_FLOOR), 0.0)
    promised = torch.where(has_previous, ema(state.promised, promise, TAU_FLOOR), 0.0)
    drop = torch.clamp(loss - state.floor, max=0.0)
    stalled = has_previous & (gained < MIN_GAIN * promised)
    rise = torch.where(stalled, torch.minimum(l_min, loss - state.floor) / TAU_FLOOR, 0.0).clamp(min=0.0)
    change = torch.where(drop < 0, drop, rise)
    return Floor(floor=state.floor + change, last=loss, gained=gained, promised=promised), l_min - change
