"""RMSProp (Tieleman and Hinton, 2012), in torch.optim.RMSprop's form."""

from typing import NamedTuple

import torch
from torch import Tensor

from studies.optimizers._base import Optimizer, Setting, Tensors
from studies.optimizers._clipping import CLIP_NORM, clip_gradients
from studies.spec.parameters import Hyperparameter


class RMSPropState(NamedTuple):
    """The average of squared gradients, one tensor a parameter."""

    s: Tensors


def init(params: Tensors) -> RMSPropState:
    """Return zero averages."""
    return RMSPropState(s=tuple(torch.zeros_like(p) for p in params))


def step(
    params: Tensors, grads: Tensors, loss: Tensor, state: RMSPropState, setting: Setting
) -> tuple[Tensors, RMSPropState, Tensor]:
    """Take s <- alpha s + (1 - alpha) g^2, theta - lr g / (sqrt(s) + eps)."""
    lr, alpha, eps = setting["lr"], setting["alpha"], setting["eps"]
    grads = clip_gradients(grads, setting["clip_norm"])
    s = tuple(alpha * s + (1 - alpha) * (g * g) for s, g in zip(state.s, grads, strict=True))
    new_params = tuple(p - lr * (g / (square.sqrt() + eps)) for p, g, square in zip(params, grads, s, strict=True))
    return new_params, RMSPropState(s=s), lr


OPTIMIZER = Optimizer(
    summary="RMSProp, theta - lr g / (sqrt(s) + eps) (torch.optim.RMSprop).",
    hyperparameters=(
        Hyperparameter(
            name="lr", default=1e-3, summary="Learning rate.", at_least=0.0, search_low=1e-5, search_high=1.0
        ),
        Hyperparameter(
            name="alpha",
            default=0.99,
            summary="Decay of the average of squared gradients.",
            at_least=0.0,
            at_most=0.999999,
            search_low=0.9,
            search_high=0.999,
            log=False,
        ),
        Hyperparameter(
            name="eps",
            default=1e-8,
            summary="Added to the root.",
            at_least=0.0,
            search_low=1e-10,
            search_high=1e-2,
        ),
        CLIP_NORM,
    ),
    init=init,
    step=step,
)
