"""Shared parts of l4mom and l4adam: the step size's hyperparameters, the state and the update."""

from typing import NamedTuple

import torch
from torch import Tensor

from l4.step_size import ALPHA, EPS, GAMMA, GAMMA0, TAU, StepSize, inner_product, step_size
from studies.optimizers._base import Setting, Tensors
from studies.spec.parameters import Hyperparameter

L4_HYPERPARAMETERS = (
    Hyperparameter(
        name="alpha",
        default=ALPHA,
        summary="Fraction of the way to the goal that a step goes.",
        at_least=0.0,
        search_low=0.01,
        search_high=1.0,
    ),
    Hyperparameter(
        name="gamma",
        default=GAMMA,
        summary="Fraction of the smallest loss that is the goal.",
        at_least=0.0,
        at_most=1.0,
        search_low=0.5,
        search_high=0.99,
        log=False,
    ),
    Hyperparameter(
        name="gamma0",
        default=GAMMA0,
        summary="Fraction of the first loss that the smallest loss starts from.",
        at_least=0.0,
        at_most=1.0,
        search_low=0.1,
        search_high=1.0,
        log=False,
    ),
    Hyperparameter(
        name="tau",
        default=TAU,
        summary="Timescale in steps on which the smallest loss is forgotten.",
        at_least=1.0,
        search_low=10.0,
        search_high=100_000.0,
    ),
    Hyperparameter(
        name="eps",
        default=EPS,
        summary="Added to g.v.",
        at_least=0.0,
        search_low=1e-16,
        search_high=1e-4,
    ),
)


class L4State(NamedTuple):
    """The state of an L4 optimizer; t and L_min are 0-dim float64.

    Args:
        t: Number of steps taken.
        l_min: The estimate of the smallest reachable loss; not read in the first step.
        g: Average of gradients for the estimate, one tensor a parameter.
        m: Average of gradients for the direction, likewise.
        s: Average of squared gradients, likewise; empty if the direction needs none.
    """

    t: Tensor
    l_min: Tensor
    g: Tensors
    m: Tensors
    s: Tensors


def init_l4_state(params: Tensors, *, squares: bool) -> L4State:
    """Return the initial state.

    Args:
        params: The parameters.
        squares: Whether the direction needs the average of squared gradients.
    """
    zero = torch.zeros((), dtype=torch.float64, device=params[0].device)
    zeros = tuple(torch.zeros_like(p) for p in params)
    return L4State(t=zero, l_min=zero, g=zeros, m=zeros, s=zeros if squares else ())


def apply_l4_step(
    params: Tensors, loss: Tensor, g: Tensors, v: Tensors, l_min: Tensor, t: Tensor, setting: Setting
) -> tuple[Tensors, StepSize]:
    """Return the parameters after theta - eta v, and the step size.

    Args:
        params: theta.
        loss: L before the update.
        g: The gradient estimate.
        v: The direction.
        l_min: L_min from the previous step.
        t: The number of this step.
        setting: The hyperparameters.
    """
    size = step_size(
        loss.double(),
        l_min,
        inner_product(g, v).double(),
        t == 1,
        alpha=setting["alpha"],
        gamma=setting["gamma"],
        gamma0=setting["gamma0"],
        tau=setting["tau"],
        eps=setting["eps"],
    )
    return tuple(p - size.eta * direction for p, direction in zip(params, v, strict=True)), size
