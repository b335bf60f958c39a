"""Guards, off by default: detection of losses and gradients that the paper's rule cannot use."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from l4.errors import NegativeLossError, NonFiniteError
from l4.foreach import to_device

#: Reaction to a loss or gradient that the rule cannot use: apply the rule regardless, skip the step and count it, or
#: raise at once (which synchronizes with the device).
GuardAction = Literal["propagate", "skip", "raise"]
GUARD_ACTIONS: tuple[str, ...] = get_args(GuardAction)


class InvalidStep(NamedTuple):
    """Whether and why a step is invalid; both 0-dim bool.

    Args:
        nonfinite: The loss or a gradient is infinite or NaN.
        negative: The loss is below its floor.
    """

    nonfinite: Tensor
    negative: Tensor


def find_invalid(loss: Tensor, grads: list[Tensor], on_nonfinite: GuardAction, on_negative: GuardAction) -> InvalidStep:
    """Return whether a step has to be skipped.

    Args:
        loss: The loss minus its floor; 0-dim.
        grads: All gradients; the local parts of DTensors.
        on_nonfinite: Reaction to infinite or NaN values; with "propagate" there is no check for them.
        on_negative: Reaction to a loss below its floor; likewise.
    """
    never = torch.zeros((), dtype=torch.bool, device=loss.device)
    nonfinite = never
    if on_nonfinite != "propagate":
        nonfinite = ~loss.isfinite()
        for grad in grads:
            nonfinite = nonfinite | ~to_device(grad.isfinite().all(), loss.device)
    return InvalidStep(nonfinite=nonfinite, negative=never if on_negative == "propagate" else loss < 0)


def raise_if_skipped(nonfinite: int, negative: int) -> None:
    """Raise if steps were skipped.

    Args:
        nonfinite: Number skipped for an infinite or NaN loss or gradient.
        negative: Number skipped for a loss below its floor.

    Raises:
        NonFiniteError: `nonfinite` is not zero.
        NegativeLossError: `negative` is not zero.
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
