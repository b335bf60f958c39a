"""One training step of all lanes: a lane's step as a pure function, mapped over the lane axis."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from studies.optimizer import AnyOptimizer, Setting, Tensors

#: From (parameters, inputs, targets) to the loss of one lane; 0-dim.
BatchLoss = Callable[[Tensors, Tensor, Tensor], Tensor]
#: From stacked (parameters, state, alive, inputs, targets, setting) to (parameters, state, alive, loss, rate).
StackedStep = Callable[
    [Tensors, object, Tensor, Tensor, Tensor, Setting], tuple[Tensors, object, Tensor, Tensor, Tensor]
]


def stacked_step(loss: BatchLoss, optimizer: AnyOptimizer) -> StackedStep:
    """Return a step of all lanes; every tensor has the lane axis in front.

    A lane whose loss is not finite is no longer alive, and keeps its parameters and state from then on.

    Args:
        loss: One lane's loss.
        optimizer: The optimizer of all lanes.
    """

    def step(
        params: Tensors, state: object, alive: Tensor, inputs: Tensor, targets: Tensor, setting: Setting
    ) -> tuple[Tensors, object, Tensor, Tensor, Tensor]:
        grads, value = grad_and_value(loss)(params, inputs, targets)
        moved, following, rate = optimizer.step(params, grads, value, state, setting)
        alive = alive & value.isfinite()

        def keep(new: Tensor, old: Tensor) -> Tensor:
            # settings are 0-dim float64, and would make a parameter without axes float64 as well
            return torch.where(alive, new.to(old.dtype), old)

        params, state = tree_map(keep, (moved, following), (params, state))
        return params, state, alive, value.double(), rate.double()

    return vmap(step)
