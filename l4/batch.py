"""Parameters that are updated together, and the way that they go."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from l4.sharding import is_dtensor, to_local


class Batch(NamedTuple):
    """Parameters of one group, device, type and age, that are updated together; real, and local where spread.

    Args:
        group: Their parameter group.
        params: theta.
        grads: The gradients.
        buffers: The averages, one list for each of the optimizer's buffers.
        t: How many gradients they have had, this one included; 0-dim float64, a view of their count.
        step_count: The count; of shape (1,).
        like: The first of them as it is, to know how it is spread.
    """

    group: dict[str, Any]
    params: list[Tensor]
    grads: list[Tensor]
    buffers: tuple[list[Tensor], ...]
    t: Tensor
    step_count: Tensor
    reference_param: Tensor


class Update(NamedTuple):
    """Where a batch goes: v is the vectors by the divisor.

    Args:
        vectors: One for each parameter; they may be buffers, and are not changed.
        divisor: 0-dim float64, on the batch's device.
        inner: The batch's part of g.v; 0-dim float64.
    """

    vectors: list[Tensor]
    divisor: Tensor
    inner: Tensor


def make_batch(
    group: dict[str, Any], params: list[Tensor], grads: list[Tensor], buffers: tuple[list[Tensor], ...], age: Tensor
) -> Batch:
    """Return a batch of real, local tensors.

    Args:
        group: The parameter group.
        params: Its members of one device, type and age.
        grads: Their gradients.
        buffers: Their averages, one list for each of the optimizer's buffers.
        age: Their count of gradients; of shape (1,), float64.

    Returns:
        Views, so that what is written to them is written to the parameters and buffers.
    """
    like = params[0]

    def real(tensors: list[Tensor]) -> list[Tensor]:
        if is_dtensor(like):
            tensors = [to_local(each, whole) for each, whole in zip(tensors, params, strict=True)]
        return [torch.view_as_real(each) for each in tensors] if like.is_complex() else tensors

    return Batch(
        group=group,
        params=real(params),
        grads=real(grads),
        buffers=tuple(real(buffer) for buffer in buffers),
        t=age.view(()),
        step_count=age,
        reference_param=like,
    )
