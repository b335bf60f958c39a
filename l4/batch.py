"""Batches: parameters that one update moves together, and the update itself."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from l4.sharding import is_dtensor, to_local


class Batch(NamedTuple):
    """Parameters of one group, device, dtype and step count, as real and local tensors.

    Args:
        group: Their parameter group.
        params: theta.
        grads: The gradients.
        buffers: The averages, one list for each of the optimizer's buffers.
        t: Number of gradients they have received, this one included; 0-dim float64, a view of `step_count`.
        step_count: The same number, of shape (1,), as the optimizer's state holds it.
        reference_param: The first parameter in its original form, from which a DTensor's layout is read.
    """

    group: dict[str, Any]
    params: list[Tensor]
    grads: list[Tensor]
    buffers: tuple[list[Tensor], ...]
    t: Tensor
    step_count: Tensor
    reference_param: Tensor


class Update(NamedTuple):
    """The update direction of a batch: v = vectors / divisor.

    Args:
        vectors: One for each parameter; they may be the buffers themselves, so nothing may write into them.
        divisor: 0-dim float64, on the batch's device.
        inner: The batch's share of g.v; 0-dim float64.
    """

    vectors: list[Tensor]
    divisor: Tensor
    inner: Tensor


def make_batch(
    group: dict[str, Any],
    params: list[Tensor],
    grads: list[Tensor],
    buffers: tuple[list[Tensor], ...],
    step_count: Tensor,
) -> Batch:
    """Build a batch from the tensors as the optimizer holds them.

    Args:
        group: The parameter group.
        params: Members of the group with one device, dtype and step count.
        grads: Their gradients.
        buffers: Their averages, one list for each of the optimizer's buffers.
        step_count: Number of gradients they have received; of shape (1,), float64.

    Returns:
        A batch of views: writing to them writes to the parameters and buffers.
    """
    reference_param = params[0]

    def as_real_local(tensors: list[Tensor]) -> list[Tensor]:
        if is_dtensor(reference_param):
            tensors = [to_local(tensor, param) for tensor, param in zip(tensors, params, strict=True)]
        return [torch.view_as_real(tensor) for tensor in tensors] if reference_param.is_complex() else tensors

    return Batch(
        group=group,
        params=as_real_local(params),
        grads=as_real_local(grads),
        buffers=tuple(as_real_local(buffer) for buffer in buffers),
        t=step_count.view(()),
        step_count=step_count,
        reference_param=reference_param,
    )
