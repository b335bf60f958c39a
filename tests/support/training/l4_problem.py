"""What the tests of the optimizer classes share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from l4 import L4, Adam, L4Adam, L4Mom, Momentum
from l4.optimizer import L4Optimizer


def _momentum(params: Any, **given: Any) -> L4Optimizer:
    return L4(params, Momentum(), **given)


def _adam(params: Any, **given: Any) -> L4Optimizer:
    return L4(params, Adam(), **given)


#: From parameters and hyperparameters to an optimizer: every class of the library.
MAKERS: dict[str, Callable[..., L4Optimizer]] = {
    "L4Mom": L4Mom,
    "L4Adam": L4Adam,
    "L4(Momentum)": _momentum,
    "L4(Adam)": _adam,
}


def problem(dtype: torch.dtype = torch.float64) -> tuple[list[Parameter], Callable[[], Tensor]]:
    """Return two parameters, and the loss of a small regression that zero can be reached in."""
    drawn = torch.Generator().manual_seed(3)
    x = torch.randn(12, 4, dtype=torch.float64, generator=drawn).to(dtype)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=dtype) + 0.25
    w, b = Parameter(torch.zeros(4, dtype=dtype)), Parameter(torch.zeros((), dtype=dtype))
    return [w, b], lambda: (x @ w + b - y).square().mean()


def train(optimizer: L4Optimizer, loss_of: Callable[[], Tensor], steps: int) -> list[float]:
    """Take steps, and return the losses before each."""
    losses: list[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step(loss=loss)
        losses.append(float(loss.detach()))
    return losses


def values(params: list[Parameter]) -> list[Any]:
    """Return the parameters' values."""
    return [p.detach().tolist() for p in params]
