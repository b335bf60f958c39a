"""Stochastic gradient descent without momentum."""

from typing import NamedTuple

from torch import Tensor

from studies.optimizers._base import Optimizer, Setting, Tensors
from studies.optimizers._clipping import CLIP_NORM, clip_gradients
from studies.spec.parameters import Hyperparameter


class SGDState(NamedTuple):
    """The empty state: SGD has no buffers."""


def init(params: Tensors) -> SGDState:
    """Return the empty state."""
    return SGDState()


def step(
    params: Tensors, grads: Tensors, loss: Tensor, state: SGDState, setting: Setting
) -> tuple[Tensors, SGDState, Tensor]:
    """Take theta - lr g."""
    lr = setting["lr"]
    grads = clip_gradients(grads, setting["clip_norm"])
    return tuple(p - lr * g for p, g in zip(params, grads, strict=True)), state, lr


OPTIMIZER = Optimizer(
    summary="Stochastic gradient descent, theta - lr g (torch.optim.SGD).",
    hyperparameters=(
        Hyperparameter(
            name="lr", default=1e-3, summary="Learning rate.", at_least=0.0, search_low=1e-4, search_high=1e1
        ),
        CLIP_NORM,
    ),
    init=init,
    step=step,
)
