"""What an optimizer is here: hyperparameters, a state, and a pure step for one lane, which packs map over lanes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from studies.spec.parameters import Hyperparameter

Tensors = tuple[Tensor, ...]
#: Every hyperparameter of the optimizer by name, 0-dim float64.
Setting = Mapping[str, Tensor]
State = TypeVar("State")


class Moments(NamedTuple):
    """The state most optimizers need: a step count and one tensor a parameter, twice.

    Args:
        t: Steps taken; 0-dim float64.
        m: First buffer, one tensor a parameter.
        s: Second buffer, likewise.
    """

    t: Tensor
    m: Tensors
    s: Tensors


@dataclass(frozen=True, kw_only=True)
class Optimizer(Generic[State]):
    """An optimizer as packs train with it.

    Args:
        summary: One sentence, with the source.
        hyperparameters: What an arm can set or search.
        init: From the parameters to the state before the first step.
        step: From (parameters, gradients, loss, state, setting) to (parameters, state, effective learning rate): one
            lane's step, without side effects, the loss being the batch loss before the update.
    """

    summary: str
    hyperparameters: tuple[Hyperparameter, ...]
    init: Callable[[Tensors], State]
    step: Callable[[Tensors, Tensors, Tensor, State, Setting], tuple[Tensors, State, Tensor]]


AnyOptimizer = Optimizer[Any]
