"""The L4 step size: the one at which the linearised loss falls towards its goal, along any direction."""

from typing import NamedTuple

import torch
from torch import Tensor

from l4.averages import Scalar

#: Defaults of the paper's section 4 (alpha, gamma, tau) and appendix (gamma0, eps).
ALPHA, GAMMA, GAMMA0, TAU, EPS = 0.15, 0.9, 0.75, 1000.0, 1e-12


class StepSize(NamedTuple):
    """A step size, and the L_min for the next step.

    Args:
        eta: The step size (equation 4); 0-dim.
        l_min: The estimate of the smallest reachable loss, relaxed for the next step; 0-dim.
    """

    eta: Tensor
    l_min: Tensor


def step_size(
    loss: Tensor,
    l_min: Tensor,
    inner: Tensor,
    first: Tensor,
    *,
    alpha: Scalar = ALPHA,
    gamma: Scalar = GAMMA,
    gamma0: Scalar = GAMMA0,
    tau: Scalar = TAU,
    eps: Scalar = EPS,
) -> StepSize:
    """Return eta = alpha (L - gamma L_min) / (g.v + eps), and the L_min of the next step.

    L_min starts as gamma0 L, is the smallest loss seen after that, and is relaxed by (1 + 1/tau) after each use
    (algorithm 1). Nothing is clamped, so a negative loss gives a negative eta.

    Args:
        loss: L, the batch loss before the update, at the parameters of the gradient; 0-dim.
        l_min: L_min from the previous step; ignored on the first step.
        inner: g.v, the sum over all parameters of gradient estimate times direction; 0-dim.
        first: Whether this is the first step; 0-dim bool.
        alpha: Fraction of the way to the goal that a step takes.
        gamma: Fraction of L_min that is the goal.
        gamma0: Fraction of the first loss that L_min starts from.
        tau: Timescale in steps of the relaxation.
        eps: Added to g.v.

    Example:
        >>> one = torch.ones((), dtype=torch.float64)
        >>> step_size(8 * one, 0 * one, 2 * one, torch.tensor(True)).eta
        tensor(0.1950, dtype=torch.float64)
    """
    l_min = torch.where(first, gamma0 * loss, torch.minimum(l_min, loss))
    eta = alpha * (loss - gamma * l_min) / (inner + eps)
    return StepSize(eta=eta, l_min=(1 + 1 / tau) * l_min)


def inner_product(left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> Tensor:
    """Return the sum over all tensors of the products of their elements.

    Args:
        left: Tensors of any shapes.
        right: As many, of the same shapes.
    """
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()
