"""Conversion of the loss passed to `step` into a 0-dim float64 tensor, without synchronizing the device."""

import torch
from torch import Tensor
from torch import distributed as dist

from l4.errors import BadLossError

#: Types of a loss passed to `step`.
Loss = Tensor | float


def to_scalar(loss: object, device: torch.device) -> Tensor:
    """Return the loss as a 0-dim float64 tensor.

    Args:
        loss: A tensor of one element, or a number.
        device: Device of the result.

    Raises:
        BadLossError: The loss is neither, or is complex.
    """
    if isinstance(loss, Tensor):
        if loss.numel() != 1 or loss.is_complex():
            raise BadLossError(
                f"the loss is a {loss.dtype} tensor of shape {tuple(loss.shape)}, and has to be one real number: "
                "reduce it first, with .mean() or .sum() as for backward()"
            )
        return (loss if loss.ndim == 0 else loss.view(())).to(device, torch.float64, non_blocking=True)
    if isinstance(loss, float | int) and not isinstance(loss, bool):
        return torch.full((), loss, dtype=torch.float64, device=device)
    raise BadLossError(
        f"the loss is {loss!r} ({type(loss).__name__}), and has to be a number or a tensor of one element: "
        "a closure has to return the loss it called backward() on"
    )


def mean_over_processes(loss: Tensor) -> Tensor:
    """Return the mean of all processes' losses, so that they take the same step.

    Args:
        loss: This process's loss; 0-dim.

    Raises:
        BadLossError: There is no process group.
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise BadLossError(
            "average_loss=True, but there is no process group: call torch.distributed.init_process_group first, "
            "or leave average_loss out"
        )
    total = loss.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
