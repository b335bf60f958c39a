"""L4Mom: momentum's direction with the L4 step size (Rolinek and Martius, 2018, section 3)."""

import math
from typing import Any, Literal, final

import torch
from torch.optim.optimizer import ParamsT

from l4.averages import correction
from l4.batch import Batch, Update
from l4.directions import TAU_G, TAU_M
from l4.foreach import ema_, inner_product
from l4.guards import GuardAction
from l4.hyperparameters import require_range
from l4.optimizer import L4Optimizer
from l4.step_size import ALPHA, EPS, GAMMA, GAMMA0, TAU


@final
class L4Mom(L4Optimizer):
    """Momentum's direction with the L4 step size; meant to be run at its defaults (Rolinek and Martius, 2018).

    Args:
        params: Parameters or groups of them.
        alpha: Fraction of the way to the goal that a step takes.
        gamma: Fraction of L_min that is the goal.
        gamma0: Fraction of the first loss that L_min starts from.
        tau: Timescale in steps on which L_min is forgotten.
        eps: Added to g.v.
        tau_m: Timescale of the direction in steps; at 10 the direction and the gradient estimate share one buffer.
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
        >>> from l4 import L4Mom
        >>> model = torch.nn.Linear(3, 1)
        >>> optimizer = L4Mom(model.parameters())
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

    def _buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("m",) if group["tau_m"] == TAU_G else ("m", "g")

    def _update_direction(self, batch: Batch) -> Update:
        group, t = batch.group, batch.t
        m = batch.buffers[0]
        ema_(m, batch.grads, group["tau_m"])
        correction_m = correction(group["tau_m"], t)
        if len(batch.buffers) == 1:
            return Update(vectors=m, divisor=correction_m, inner=inner_product(m, m) / correction_m / correction_m)
        g = batch.buffers[1]
        ema_(g, batch.grads, TAU_G)
        return Update(vectors=m, divisor=correction_m, inner=inner_product(g, m) / correction_m / correction(TAU_G, t))
