"""The declaration of an optimizer: its hyperparameters, and pure functions for its state and the step of one lane."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from studies.spec.parameters import Hyperparameter

Tensors = tuple[Tensor, ...]
#: Hyperparameters by name, 0-dim float64.
Setting = Mapping[str, Tensor]
State = TypeVar("State")


class Moments(NamedTuple):
    """The state of an optimizer with a step count and two buffers for each parameter.

    Args:
        t: Number of steps taken; 0-dim float64.
        m: First buffer, one tensor a parameter.
        s: Second buffer, likewise.
    """

    t: Tensor
    m: Tensors
    s: Tensors


@dataclass(frozen=True, kw_only=True)
class Optimizer(Generic[State]):
    """An optimizer for training packs.

    Args:
        summary: One sentence that names the source.
        hyperparameters: The hyperparameters that an arm can set or search.
        init: From the parameters to the initial state.
        step: From (parameters, gradients, loss, state, setting) to (parameters, state, effective learning rate): one
            lane's step, without side effects; the loss is the batch loss before the update.
    """

    summary: str
    hyperparameters: tuple[Hyperparameter, ...]
    init: Callable[[Tensors], State]
    step: Callable[[Tensors, Tensors, Tensor, State, Setting], tuple[Tensors, State, Tensor]]


AnyOptimizer = Optimizer[Any]
