"""What a gradient estimate or a direction is: a pure rule from gradients and its own averages to vectors."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from l4.averages import ema
from l4.directions import ADAM_EPS, TAU_G, TAU_M, TAU_S, adam, momentum

#: One tensor for each parameter.
Tensors = tuple[Tensor, ...]


class Direction(ABC):
    """A rule that turns gradients into vectors of the same shapes; `L4` takes one for g and one for v.

    Example:
        >>> import torch
        >>> class Sign(Direction):
        ...     '''The sign of each element, as in signSGD.'''
        ...     buffers = 0
        ...     def advance(self, grads, buffers, t):
        ...         return tuple(grad.sign() for grad in grads), ()
        >>> Sign().advance((torch.tensor([-3.0, 2.0]),), (), torch.tensor(1.0))
        ((tensor([-1.,  1.]),), ())
    """

    #: How many buffers of a parameter's shape it keeps; they start at zero.
    buffers: int

    @abstractmethod
    def advance(self, grads: Tensors, buffers: tuple[Tensors, ...], t: Tensor) -> tuple[Tensors, tuple[Tensors, ...]]:
        """Return the vectors of this step and the buffers of the next.

        Args:
            grads: The gradients; complex ones as real pairs.
            buffers: What the step before left, `self.buffers` tuples as long as grads.
            t: The number of gradients these parameters have had, counting from 1; 0-dim float64.
        """


@dataclass(frozen=True, kw_only=True)
class Momentum(Direction):
    """The corrected average of gradients: the paper's g, and L4Mom's v.

    Args:
        tau: Timescale in steps.
    """

    tau: float = TAU_M
    buffers = 1

    def advance(self, grads: Tensors, buffers: tuple[Tensors, ...], t: Tensor) -> tuple[Tensors, tuple[Tensors, ...]]:
        """Return m / (1 - (1 - 1/tau)^t) and m."""
        (averages,) = buffers
        m = tuple(ema(each, grad, self.tau) for each, grad in zip(averages, grads, strict=True))
        return momentum(m, self.tau, t), (m,)


@dataclass(frozen=True, kw_only=True)
class Adam(Direction):
    """Adam's direction, with timescales for betas.

    Args:
        tau_m: Timescale of the average of gradients in steps.
        tau_s: Timescale of the average of squared gradients in steps.
        eps: Added to the root.
    """

    tau_m: float = TAU_M
    tau_s: float = TAU_S
    eps: float = ADAM_EPS
    buffers = 2

    def advance(self, grads: Tensors, buffers: tuple[Tensors, ...], t: Tensor) -> tuple[Tensors, tuple[Tensors, ...]]:
        """Return m / (sqrt(s) + eps), both averages corrected, and the averages m and s."""
        averages, squares = buffers
        m = tuple(ema(each, grad, self.tau_m) for each, grad in zip(averages, grads, strict=True))
        s = tuple(ema(each, grad * grad, self.tau_s) for each, grad in zip(squares, grads, strict=True))
        return adam(m, s, self.tau_m, self.tau_s, self.eps, t), (m, s)


#: The paper's gradient estimate (section 2.3).
ESTIMATE = Momentum(tau=TAU_G)
