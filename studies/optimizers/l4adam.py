"""L4Adam: Adam's direction with the L4 step size (Rolinek and Martius, 2018, section 3)."""

from torch import Tensor

from l4.averages import ema
from l4.directions import ADAM_EPS, TAU_G, TAU_M, TAU_S, adam, momentum
from studies.optimizers._base import Optimizer, Setting, Tensors
from studies.optimizers._l4 import L4_HYPERPARAMETERS, L4State, apply_l4_step, init_l4_state
from studies.spec.parameters import Hyperparameter


def init(params: Tensors) -> L4State:
    """Return zero averages."""
    return init_l4_state(params, squares=True)


def step(
    params: Tensors, grads: Tensors, loss: Tensor, state: L4State, setting: Setting
) -> tuple[Tensors, L4State, Tensor]:
    """Take theta - eta v, where v = m / (sqrt(s) + adam_eps) of the bias-corrected averages."""
    t = state.t + 1
    g = tuple(ema(average, grad, TAU_G) for average, grad in zip(state.g, grads, strict=True))
    m = tuple(ema(average, grad, setting["tau_m"]) for average, grad in zip(state.m, grads, strict=True))
    s = tuple(ema(average, grad * grad, setting["tau_s"]) for average, grad in zip(state.s, grads, strict=True))
    v = adam(m, s, setting["tau_m"], setting["tau_s"], setting["adam_eps"], t)
    new_params, size = apply_l4_step(params, loss, momentum(g, TAU_G, t), v, state.l_min, t, setting)
    return new_params, L4State(t=t, l_min=size.l_min, g=g, m=m, s=s), size.eta


OPTIMIZER = Optimizer(
    summary="L4 with Adam's direction; meant to be run at its defaults (Rolinek and Martius, 2018).",
    hyperparameters=(
        *L4_HYPERPARAMETERS,
        Hyperparameter(
            name="tau_m",
            default=TAU_M,
            summary="Timescale of the average of gradients in steps.",
            at_least=1.0,
            search_low=1.0,
            search_high=100.0,
        ),
        Hyperparameter(
            name="tau_s",
            default=TAU_S,
            summary="Timescale of the average of squared gradients in steps.",
            at_least=1.0,
            search_low=10.0,
            search_high=10_000.0,
        ),
        Hyperparameter(
            name="adam_eps",
            default=ADAM_EPS,
            summary="Added to the root.",
            at_least=0.0,
            search_low=1e-8,
            search_high=1e-1,
        ),
    ),
    init=init,
    step=step,
)
