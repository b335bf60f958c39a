"""Update directions: those of L4Mom and L4Adam, and the base class for others."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from l4.averages import Scalar, correction, ema

#: Timescale of the gradient estimate g, for every direction, and the directions' defaults (section 4).
TAU_G, TAU_M, TAU_S, ADAM_EPS = 10.0, 10.0, 1000.0, 1e-4


def momentum(m: tuple[Tensor, ...], tau: Scalar, t: Tensor) -> tuple[Tensor, ...]:
    """Return the bias-corrected averages of gradients: the estimate g, and L4Mom's direction.

    Args:
        m: Averages of the gradients, one tensor a parameter.
        tau: Their timescale in steps.
        t: The number of this step, counted from 1; 0-dim float64.
    """
    scale = correction(tau, t)
    return tuple(average / scale for average in m)


def adam(
    m: tuple[Tensor, ...], s: tuple[Tensor, ...], tau_m: Scalar, tau_s: Scalar, eps: Scalar, t: Tensor
) -> tuple[Tensor, ...]:
    """Return L4Adam's direction, m / (sqrt(s) + eps) of the bias-corrected averages; eps is outside the root.

    Args:
        m: Averages of the gradients, one tensor a parameter.
        s: Averages of the squared gradients.
        tau_m: Timescale of m in steps.
        tau_s: Timescale of s in steps.
        eps: Added to the root of s.
        t: The number of this step, counted from 1; 0-dim float64.
    """
    scale_m, scale_s = correction(tau_m, t), correction(tau_s, t)
    return tuple((a / scale_m) / ((b / scale_s).sqrt() + eps) for a, b in zip(m, s, strict=True))


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

    #: Number of buffers for each parameter, of its shape; they start at zero.
    buffers: int

    @abstractmethod
    def advance(self, grads: Tensors, buffers: tuple[Tensors, ...], t: Tensor) -> tuple[Tensors, tuple[Tensors, ...]]:
        """Return the vectors of this step, and the buffers for the next.

        Args:
            grads: The gradients; complex ones as real pairs.
            buffers: Those that the previous step returned: `self.buffers` tuples, each as long as `grads`.
            t: Number of gradients that these parameters have received, counted from 1; 0-dim float64.
        """


@dataclass(frozen=True, kw_only=True)
class Momentum(Direction):
    """The bias-corrected average of gradients: the paper's g, and L4Mom's v.

    Args:
        tau: Timescale in steps.
    """

    tau: float = TAU_M
    buffers = 1

    def advance(self, grads: Tensors, buffers: tuple[Tensors, ...], t: Tensor) -> tuple[Tensors, tuple[Tensors, ...]]:
        """Return m / (1 - (1 - 1/tau)^t) and m."""
        (averages,) = buffers
        m = tuple(ema(average, grad, self.tau) for average, grad in zip(averages, grads, strict=True))
        return momentum(m, self.tau, t), (m,)


@dataclass(frozen=True, kw_only=True)
class Adam(Direction):
    """Adam's direction, with timescales instead of betas.

    Args:
        tau_m: Timescale of the average of gradients in steps.
        tau_s: Timescale of the average of squared gradients in steps.
        eps: Added to the root of s.
    """

    tau_m: float = TAU_M
    tau_s: float = TAU_S
    eps: float = ADAM_EPS
    buffers = 2

    def advance(self, grads: Tensors, buffers: tuple[Tensors, ...], t: Tensor) -> tuple[Tensors, tuple[Tensors, ...]]:
        """Return m / (sqrt(s) + eps), both averages bias-corrected, and the averages m and s."""
        averages, squares = buffers
        m = tuple(ema(average, grad, self.tau_m) for average, grad in zip(averages, grads, strict=True))
        s = tuple(ema(square, grad * grad, self.tau_s) for square, grad in zip(squares, grads, strict=True))
        return adam(m, s, self.tau_m, self.tau_s, self.eps, t), (m, s)


#: The paper's gradient estimate (section 2.3).
GRADIENT_ESTIMATE = Momentum(tau=TAU_G)
