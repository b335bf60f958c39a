"""Guards of the step size, all off by default: what a step does that the paper's rule would not survive."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from l4.errors import NegativeLossError, NonFiniteError
from l4.foreach import on

#: What to do about a loss or a gradient that the rule cannot use: what the paper's rule does, leave the step out and
#: count it, or raise at once (which waits for the device).
GuardAction = Literal["propagate", "skip", "raise"]
GUARD_ACTIONS: tuple[str, ...] = get_args(GuardAction)


class InvalidStep(NamedTuple):
    """Why a step is left out; both 0-dim bool.

    Args:
        nonfinite: The loss or a gradient is infinite or NaN.
        negative: The loss is below its floor.
    """

    nonfinite: Tensor
    negative: Tensor


def find_invalid(loss: Tensor, grads: list[Tensor], on_nonfinite: GuardAction, on_negative: GuardAction) -> InvalidStep:
    """Return whether a step has to be left out.

    Args:
        loss: L above its floor; 0-dim.
        grads: All gradients, local parts where they are spread.
        on_nonfinite: What to do about infinite or NaN values; they are not looked for where it is "propagate".
        on_negative: What to do about a loss below its floor, likewise.
    """
    never = torch.zeros((), dtype=torch.bool, device=loss.device)
    nonfinite = never
    if on_nonfinite != "propagate":
        nonfinite = ~loss.isfinite()
        for grad in grads:
            nonfinite = nonfinite | ~on(loss.device, grad.isfinite().all())
    return InvalidStep(nonfinite=nonfinite, negative=never if on_negative == "propagate" else loss < 0)


def raise_if_skipped(nonfinite: int, negative: int) -> None:
    """Raise if steps were left out.

    Args:
        nonfinite: How many for a loss or a gradient that is infinite or NaN.
        negative: How many for a loss below its floor.

    Raises:
        NonFiniteError: The first is not zero.
        NegativeLossError: The second is not zero.
    """
    if nonfinite:
        raise NonFiniteError(
            f"{nonfinite} step(s) had an infinite or NaN loss or gradient; parameters and state are as before them. "
            "Look for an overflow in the model, lower alpha, or bound the step size with max_eta"
        )
    if negative:
        raise NegativeLossError(
            f"{negative} step(s) had a loss below loss_floor; parameters and state are as before them. L4 steps "
            "towards a fraction of the smallest loss, and would climb: set loss_floor to a lower bound of the loss"
        )
