"""Clipping is torch's, lane by lane, and leaves a gradient as it is where there is no limit."""

import pytest
import torch
from torch import Tensor, vmap
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_

from studies.optimizers._base import Tensors
from studies.optimizers._clipping import clip_gradients

GRADS: Tensors = tuple(
    torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) for shape in ((4, 3), (5,), ())
)


@pytest.mark.parametrize("limit", [0.1, 1.0, 1e6])
def test_is_torchs(limit: float) -> None:
    params = [Parameter(torch.zeros_like(grad)) for grad in GRADS]
    for param, grad in zip(params, GRADS, strict=True):
        param.grad = grad.clone()
    clip_grad_norm_(params, limit)
    for found, param in zip(clip_gradients(GRADS, torch.tensor(limit, dtype=torch.float64)), params, strict=True):
        torch.testing.assert_close(found, param.grad, rtol=1e-12, atol=0)


def test_every_lane_has_its_own_limit_and_zero_is_none() -> None:
    limits = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)

    def stacked(grads: Tensors) -> Tensors:
        return tuple(grad.expand(3, *grad.shape) for grad in grads)

    found = vmap(clip_gradients)(stacked(GRADS), limits)
    assert all(torch.equal(lanes[0], grad) for lanes, grad in zip(found, GRADS, strict=True))

    def norm(lane: int) -> Tensor:
        return torch.cat([each[lane].flatten() for each in found]).norm()

    assert float(norm(1)) == pytest.approx(0.5, rel=1e-5)
    assert float(norm(2)) == pytest.approx(2.0, rel=1e-5)


def test_keeps_the_type() -> None:
    (found,) = clip_gradients((torch.ones(3),), torch.tensor(1.0, dtype=torch.float64))
    assert found.dtype == torch.float32
