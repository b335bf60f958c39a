"""The loss that a step is given: checked, and turned into a 0-dim float64 tensor without waiting for its value."""

import torch
from torch import Tensor
from torch import distributed as dist

from l4.errors import BadLossError

#: What a loss may be given as.
Loss = Tensor | float


def to_scalar(loss: object, device: torch.device) -> Tensor:
    """Return the loss as a 0-dim float64 tensor.

    Args:
        loss: A tensor of one element, or a number.
        device: Where it is needed.

    Raises:
        BadLossError: It is neither, or not real.
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
    """Return the mean of every process's loss, so that all of them take the same step.

    Args:
        loss: This process's; 0-dim.

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
