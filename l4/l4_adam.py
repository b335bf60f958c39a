"""L4Adam: Adam's direction with the L4 step size (Rolinek and Martius, 2018, section 3)."""

import math
from typing import Any, Literal, final

import torch
from torch.optim.optimizer import ParamsT

from l4.averages import correction
from l4.batch import Batch, Update
from l4.directions import ADAM_EPS, TAU_G, TAU_M, TAU_S
from l4.foreach import adam_denominators, divide_into, ema_, ema_of_squares_, inner_product, sum_elements
from l4.guards import GuardAction
from l4.hyperparameters import require_range
from l4.optimizer import L4Optimizer
from l4.step_size import ALPHA, EPS, GAMMA, GAMMA0, TAU


@final
class L4Adam(L4Optimizer):
    """Adam's direction with the L4 step size; meant to be run at its defaults (Rolinek and Martius, 2018).

    Args:
        params: Parameters or groups of them.
        alpha: Fraction of the way to the goal that a step takes.
        gamma: Fraction of L_min that is the goal.
        gamma0: Fraction of the first loss that L_min starts from.
        tau: Timescale in steps on which L_min is forgotten.
        eps: Added to g.v.
        tau_m: Timescale of the average of gradients in steps; at 10 this average is also the gradient estimate, which
            has a third buffer otherwise.
        tau_s: Timescale of the average of squared gradients in steps.
        adam_eps: Added to the bias-corrected root.
        lr: Factor on the step size, for schedules and warm-up; may differ between groups.
        weight_decay: Decoupled: parameters shrink by lr * weight_decay in a step, independent of the step size.
        max_eta: Upper limit of the step size; None for no limit.
        loss_floor: Lower bound of the loss, subtracted from it; "estimate" to estimate one (`l4.floor`).
        on_nonfinite: Reaction to an infinite or NaN loss or gradient.
        on_negative: Reaction to a loss below loss_floor.
        average_loss: Whether to use the mean of all processes' losses, for data-parallel training.

    Raises:
        BadHyperparameterError: A value is invalid.

    Example:
        >>> from l4 import L4Adam
        >>> model = torch.nn.Linear(3, 1)
        >>> optimizer = L4Adam(model.parameters())
        >>> loss = model(torch.ones(4, 3)).square().mean()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
    """

    def __init__(
        self,
        params: ParamsT,
        alpha: float = ALPHA,
        gamma: float = GAMMA,
        gamma0: float = GAMMA0,
        tau: float = TAU,
        eps: float = EPS,
        tau_m: float = TAU_M,
        tau_s: float = TAU_S,
        adam_eps: float = ADAM_EPS,
        *,
        lr: float | torch.Tensor = 1.0,
        weight_decay: float = 0.0,
        max_eta: float | None = None,
        loss_floor: float | Literal["estimate"] = 0.0,
        on_nonfinite: GuardAction = "propagate",
        on_negative: GuardAction = "propagate",
        average_loss: bool = False,
    ) -> None:
        """Check the hyperparameters; the first step creates the state."""
        hyperparameters = {
            "lr": lr,
            "alpha": alpha,
            "gamma": gamma,
            "gamma0": gamma0,
            "tau": tau,
            "eps": eps,
            "tau_m": tau_m,
            "tau_s": tau_s,
            "adam_eps": adam_eps,
            "weight_decay": weight_decay,
            "max_eta": max_eta,
            "loss_floor": loss_floor,
            "on_nonfinite": on_nonfinite,
            "on_negative": on_negative,
            "average_loss": average_loss,
        }
        super().__init__(params, hyperparameters)

    def _check_group(self, group: dict[str, Any]) -> None:
        require_range(group, "tau_m", 1, math.inf)
        require_range(group, "tau_s", 1, math.inf)
        require_range(group, "adam_eps", 0, math.inf)

    def _buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("m", "s") if group["tau_m"] == TAU_G else ("m", "s", "g")

    def _update_direction(self, batch: Batch) -> Update:
        group, t = batch.group, batch.t
        m, s = batch.buffers[:2]
        ema_(m, batch.grads, group["tau_m"])
        ema_of_squares_(s, batch.grads, group["tau_s"])
        denominators, root = adam_denominators(s, group["tau_s"], group["adam_eps"], t)
        g, correction_m = m, correction(group["tau_m"], t)
        correction_g = correction_m
        if len(batch.buffers) == 3:
            g, correction_g = batch.buffers[2], correction(TAU_G, t)
            ema_(g, batch.grads, TAU_G)
        divisor = correction_m / root
        if torch.compiler.is_compiling():  # when compiling, a second division costs less than storing all quotients
            vectors = [a / d for a, d in zip(m, denominators, strict=True)]
            inner = sum_elements([a * b / d for a, b, d in zip(g, m, denominators, strict=True)])
        else:
            vectors = divide_into(m, denominators)
            inner = inner_product(g, vectors)
        return Update(vectors=vectors, divisor=divisor, inner=inner / divisor / correction_g)
