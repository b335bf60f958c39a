"""Losses of modules without buffers, in the form that a stacked step needs."""

from collections.abc import Callable

from torch import Tensor

from studies.optimizers._base import Tensors
from studies.training.lanes import BatchLoss, Inputs


def stateless_loss(loss: Callable[[Tensors, Tensor, Tensor], Tensor]) -> BatchLoss:
    """Return a loss of (parameters, inputs, targets) as one of a stacked step.

    Args:
        loss: One lane's loss; 0-dim.
    """

    def of_batch(params: Tensors, buffers: Tensors, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensors]:
        (only,) = inputs
        return loss(params, only, targets), buffers

    return of_batch
