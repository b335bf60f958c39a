"""One training step of all lanes: a lane's step as a pure function, mapped over the lane axis where there are more."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from studies.optimizers._base import AnyOptimizer, Setting, Tensors


class Lanes(NamedTuple):
    """What lanes carry from step to step, every tensor with the lane axis in front.

    Args:
        params: Parameters.
        buffers: What the module keeps besides, as running statistics; empty where there is nothing.
        state: The optimizer's.
        alive: Whether each lane never met a loss that is not finite.
    """

    params: Tensors
    buffers: Tensors
    state: object
    alive: Tensor


#: A step's inputs: the batch's, and what the module is random by where it is.
Inputs = tuple[Tensor, ...]
#: From (parameters, buffers, inputs, targets) to one lane's loss, 0-dim, and its buffers after that.
BatchLoss = Callable[[Tensors, Tensors, Inputs, Tensor], tuple[Tensor, Tensors]]
#: From (lanes, inputs, targets, setting) to the lanes after the step, the losses before it and the effective rates.
Step = Callable[[Lanes, Inputs, Tensor, Setting], tuple[Lanes, Tensor, Tensor]]


@final
class StackedStep:
    """A step of all lanes; every tensor has the lane axis in front.

    Args:
        lane: One lane's step, whose tensors have no lane axis.
    """

    def __init__(self, lane: Step) -> None:
        """Map it over lanes."""
        self._lane, self._mapped = lane, vmap(lane)

    def __call__(self, lanes: Lanes, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Lanes, Tensor, Tensor]:
        """Return the lanes after the step, the losses before it and the effective rates, (lanes,) each."""
        return self._mapped(lanes, inputs, targets, setting)

    def alone(self, lanes: Lanes, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Lanes, Tensor, Tensor]:
        """Return the same of a pack of one lane, by operations that know of no lanes: fewer, and rounding otherwise.

        Args:
            lanes: The lane, with its axis in front as everything.
            inputs: Of the step.
            targets: Of the step.
            setting: Of the step.
        """
        assert len(lanes.alive) == 1

        def only(each: Tensor) -> Tensor:
            return each[0]

        def one(each: Tensor) -> Tensor:
            return each[None]

        return tree_map(one, self._lane(*tree_map(only, (lanes, inputs, targets, setting))))


class Stepper(Protocol):
    """Lanes that move on by one step after another."""

    @property
    def lanes(self) -> Lanes:
        """The lanes after the last step."""
        ...

    def advance(self, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """Take a step, and return the losses before it and the effective rates, (lanes,) each."""
        ...


#: Makes a stepper of a step and the lanes before the first one.
StepperFactory = Callable[[StackedStep, Lanes], Stepper]


@final
class EagerStepper:
    """Takes steps operation by operation.

    Args:
        step: The step.
        lanes: Where to start.
    """

    def __init__(self, step: StackedStep, lanes: Lanes) -> None:
        """Keep both."""
        self._step = step
        self.lanes = lanes

    def advance(self, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """Take a step, and return the losses before it and the effective rates, (lanes,) each."""
        self.lanes, losses, rates = self._step(self.lanes, inputs, targets, setting)
        return losses, rates


def stacked_step(loss: BatchLoss, optimizer: AnyOptimizer) -> StackedStep:
    """Return a step of all lanes; every tensor has the lane axis in front.

    A lane whose loss is not finite is no longer alive, and keeps its parameters, buffers and state from then on.

    Args:
        loss: One lane's loss.
        optimizer: The optimizer of all lanes.
    """

    def step(lane: Lanes, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Lanes, Tensor, Tensor]:
        grads, (value, buffers) = grad_and_value(loss, has_aux=True)(lane.params, lane.buffers, inputs, targets)
        moved, following, rate = optimizer.step(lane.params, grads, value, lane.state, setting)
        alive = lane.alive & value.isfinite()

        def keep(new: Tensor, old: Tensor) -> Tensor:
            # settings are 0-dim float64, and would make a parameter without axes float64 as well
            return torch.where(alive, new.to(old.dtype), old)

        params, buffers, state = tree_map(keep, (moved, buffers, following), (lane.params, lane.buffers, lane.state))
        return Lanes(params, buffers, state, alive), value.double(), rate.double()

    return StackedStep(step)
