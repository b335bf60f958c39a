"""Stochastic gradient descent with heavy-ball momentum, in torch.optim.SGD's form."""

from typing import NamedTuple

import torch
from torch import Tensor

from studies.optimizers._base import Optimizer, Setting, Tensors
from studies.optimizers._clipping import CLIP_NORM, clip_gradients
from studies.spec.parameters import Hyperparameter


class MomentumState(NamedTuple):
    """The running sum of gradients, one tensor a parameter."""

    m: Tensors


def init(params: Tensors) -> MomentumState:
    """Return a zero velocity."""
    return MomentumState(m=tuple(torch.zeros_like(p) for p in params))


def step(
    params: Tensors, grads: Tensors, loss: Tensor, state: MomentumState, setting: Setting
) -> tuple[Tensors, MomentumState, Tensor]:
    """Take m <- momentum m + g, theta - lr m."""
    lr, decay = setting["lr"], setting["momentum"]
    grads = clip_gradients(grads, setting["clip_norm"])
    m = tuple(decay * m + g for m, g in zip(state.m, grads, strict=True))
    return tuple(p - lr * velocity for p, velocity in zip(params, m, strict=True)), MomentumState(m=m), lr


OPTIMIZER = Optimizer(
    summary="SGD with heavy-ball momentum, m <- momentum m + g, theta - lr m (torch.optim.SGD).",
    hyperparameters=(
        Hyperparameter(
            name="lr", default=1e-3, summary="Learning rate.", at_least=0.0, search_low=1e-4, search_high=1e1
        ),
        Hyperparameter(
            name="momentum",
            default=0.9,
            summary="Decay of the running sum of gradients.",
            at_least=0.0,
            at_most=0.9999,
            search_low=0.5,
            search_high=0.99,
            log=False,
        ),
        CLIP_NORM,
    ),
    init=init,
    step=step,
)
