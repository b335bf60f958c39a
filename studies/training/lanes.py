"""A training step of all lanes: one lane's step as a pure function, vectorized over the lane axis."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from studies.optimizers._base import AnyOptimizer, Setting, Tensors


class Lanes(NamedTuple):
    """The state of lanes between steps; every tensor has a leading lane axis.

    Args:
        params: Parameters.
        buffers: The module's buffers, such as running statistics.
        state: The optimizer's state.
        alive: Whether each lane's losses were all finite.
    """

    params: Tensors
    buffers: Tensors
    state: object
    alive: Tensor


#: Inputs of the module: the batch's and, if the workload has noise, the noise.
Inputs = tuple[Tensor, ...]
#: From (parameters, buffers, inputs, targets) to one lane's loss, 0-dim, and its new buffers.
BatchLoss = Callable[[Tensors, Tensors, Inputs, Tensor], tuple[Tensor, Tensors]]
#: From (lanes, inputs, targets, setting) to (lanes after the step, losses before it, effective learning rates).
Step = Callable[[Lanes, Inputs, Tensor, Setting], tuple[Lanes, Tensor, Tensor]]


@final
class StackedStep:
    """A step of all lanes; every tensor has a leading lane axis.

    Args:
        lane_step: One lane's step; its tensors have no lane axis.
    """

    def __init__(self, lane_step: Step) -> None:
        """Vectorize the step over lanes."""
        self._lane_step, self._vectorized_step = lane_step, vmap(lane_step)

    def __call__(self, lanes: Lanes, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Lanes, Tensor, Tensor]:
        """Return the lanes after the step, the losses before it and the effective learning rates, (lanes,) each."""
        return self._vectorized_step(lanes, inputs, targets, setting)

    def call_single_lane(
        self, lanes: Lanes, inputs: Inputs, targets: Tensor, setting: Setting
    ) -> tuple[Lanes, Tensor, Tensor]:
        """Return the same for a pack of one lane, without vectorizing: fewer operations, and different rounding.

        Args:
            lanes: The lane; like all arguments with a lane axis of size 1.
            inputs: The step's inputs.
            targets: The step's targets.
            setting: The step's hyperparameters.
        """
        assert len(lanes.alive) == 1

        def squeeze(tensor: Tensor) -> Tensor:
            return tensor[0]

        def unsqueeze(tensor: Tensor) -> Tensor:
            return tensor[None]

        return tree_map(unsqueeze, self._lane_step(*tree_map(squeeze, (lanes, inputs, targets, setting))))


class Stepper(Protocol):
    """Takes training steps and holds the lanes."""

    @property
    def lanes(self) -> Lanes:
        """The lanes after the last step."""
        ...

    def advance(self, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """Take a step, and return the losses before it and the effective learning rates, (lanes,) each."""
        ...


#: From a step and the lanes before the first one to a stepper.
StepperFactory = Callable[[StackedStep, Lanes], Stepper]


@final
class EagerStepper:
    """Takes steps eagerly, operation by operation.

    Args:
        step: The step.
        lanes: The lanes before the first step.
    """

    def __init__(self, step: StackedStep, lanes: Lanes) -> None:
        """Start at the given lanes."""
        self._step = step
        self.lanes = lanes

    def advance(self, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """Take a step, and return the losses before it and the effective learning rates, (lanes,) each."""
        self.lanes, losses, rates = self._step(self.lanes, inputs, targets, setting)
        return losses, rates


def stacked_step(loss: BatchLoss, optimizer: AnyOptimizer) -> StackedStep:
    """Return a step of all lanes; every tensor has a leading lane axis.

    A lane whose loss is not finite is no longer alive: its parameters, buffers and state stay as they are.

    Args:
        loss: One lane's loss.
        optimizer: The optimizer of all lanes.
    """

    def step(lane: Lanes, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Lanes, Tensor, Tensor]:
        grads, (loss_value, buffers) = grad_and_value(loss, has_aux=True)(lane.params, lane.buffers, inputs, targets)
        params, state, rate = optimizer.step(lane.params, grads, loss_value, lane.state, setting)
        alive = lane.alive & loss_value.isfinite()

        def keep_if_dead(new: Tensor, old: Tensor) -> Tensor:
            # hyperparameters are 0-dim float64, and would make a 0-dim parameter float64 as well
            return torch.where(alive, new.to(old.dtype), old)

        params, buffers, state = tree_map(
            keep_if_dead, (params, buffers, state), (lane.params, lane.buffers, lane.state)
        )
        return Lanes(params, buffers, state, alive), loss_value.double(), rate.double()

    return StackedStep(step)
