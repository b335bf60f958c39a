"""L4, the meta-algorithm: the loss-based step size with any gradient estimate and any direction."""

from typing import Any, Literal, final

import torch
from torch.optim.optimizer import ParamsT

from l4.batch import Batch, Update
from l4.directions import GRADIENT_ESTIMATE, Direction
from l4.guards import GuardAction
from l4.optimizer import L4Optimizer
from l4.step_size import ALPHA, EPS, GAMMA, GAMMA0, TAU, inner_product


@final
class L4(L4Optimizer):
    """L4 with any direction (Rolinek and Martius, 2018, algorithm 1).

    g.v should not be negative, or the step increases the loss; the paper's two directions ensure that.

    Args:
        params: Parameters or groups of them.
        direction: Computes v.
        estimate: Computes g; by default the average of gradients of timescale 10.
        alpha: Fraction of the way to the goal that a step takes.
        gamma: Fraction of L_min that is the goal.
        gamma0: Fraction of the first loss that L_min starts from.
        tau: Timescale in steps on which L_min is forgotten.
        eps: Added to g.v.
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
        >>> from l4 import L4, Momentum
        >>> x = torch.nn.Parameter(torch.tensor([5.0, -3.0]))
        >>> optimizer = L4([x], Momentum(tau=4.0))
        >>> for _ in range(600):
        ...     loss = x.square().sum()
        ...     optimizer.zero_grad()
        ...     loss.backward()
        ...     _ = optimizer.step(loss=loss)
        >>> float(loss.detach()) < 0.01
        True
    """

    def __init__(
        self,
        params: ParamsT,
        direction: Direction,
        estimate: Direction = GRADIENT_ESTIMATE,
        *,
        alpha: float = ALPHA,
        gamma: float = GAMMA,
        gamma0: float = GAMMA0,
        tau: float = TAU,
        eps: float = EPS,
        lr: float | torch.Tensor = 1.0,
        weight_decay: float = 0.0,
        max_eta: float | None = None,
        loss_floor: float | Literal["estimate"] = 0.0,
        on_nonfinite: GuardAction = "propagate",
        on_negative: GuardAction = "propagate",
        average_loss: bool = False,
    ) -> None:
        """Check the hyperparameters; the first step creates the state."""
        self.direction, self.estimate = direction, estimate
        hyperparameters = {
            "lr": lr,
            "alpha": alpha,
            "gamma": gamma,
            "gamma0": gamma0,
            "tau": tau,
            "eps": eps,
            "weight_decay": weight_decay,
            "max_eta": max_eta,
            "loss_floor": loss_floor,
            "on_nonfinite": on_nonfinite,
            "on_negative": on_negative,
            "average_loss": average_loss,
        }
        super().__init__(params, hyperparameters)

    def _buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        estimates = tuple(f"g{i}" for i in range(self.estimate.buffers))
        return estimates + tuple(f"v{i}" for i in range(self.direction.buffers))

    def _update_direction(self, batch: Batch) -> Update:
        grads, buffers = tuple(batch.grads), tuple(tuple(buffer) for buffer in batch.buffers)
        g, estimate_buffers = self.estimate.advance(grads, buffers[: self.estimate.buffers], batch.t)
        v, direction_buffers = self.direction.advance(grads, buffers[self.estimate.buffers :], batch.t)
        for buffer, new_buffer in zip(buffers, estimate_buffers + direction_buffers, strict=True):
            for old, new in zip(buffer, new_buffer, strict=True):
                old.copy_(new)
        return Update(vectors=list(v), divisor=torch.ones_like(batch.t), inner=inner_product(g, v).double())

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to copy or pickle: torch's, and the directions."""
        return super().__getstate__() | {"direction": self.direction, "estimate": self.estimate}
