"""The paper's algorithm transcribed literally in scalar loops: the reference that tests compare the fast code with."""

import math
from collections.abc import Sequence
from typing import Literal


class Reference:
    """L4Mom or L4Adam on a flat list of Python floats, in the symbols of algorithm 1.

    Args:
        size: Number of parameters.
        direction: The direction v.
        alpha: Fraction of the way to the goal that a step takes.
        gamma: Fraction of L_min that is the goal.
        gamma0: Fraction of the first loss that L_min starts from.
        tau: Timescale in steps of L_min's relaxation.
        eps: Added to g.v.
        tau_m: Timescale of the direction's average of gradients.
        tau_s: Timescale of the average of squared gradients (Adam).
        adam_eps: Added to the root (Adam).

    Example:
        >>> reference = Reference(size=1)
        >>> [round(theta, 4) for theta in reference.step([10.0], [4.0], loss=8.0)]
        [9.9025]
    """

    def __init__(
        self,
        *,
        size: int,
        direction: Literal["momentum", "adam"] = "momentum",
        alpha: float = 0.15,
        gamma: float = 0.9,
        gamma0: float = 0.75,
        tau: float = 1000.0,
        eps: float = 1e-12,
        tau_m: float = 10.0,
        tau_s: float = 1000.0,
        adam_eps: float = 1e-4,
    ) -> None:
        """Initialise the state."""
        self.direction = direction
        self.alpha, self.gamma, self.gamma0, self.tau, self.eps = alpha, gamma, gamma0, tau, eps
        self.tau_m, self.tau_s, self.adam_eps = tau_m, tau_s, adam_eps
        self.t = 0
        self.l_min = math.nan
        self.eta = math.nan
        self.g = [0.0] * size
        self.m = [0.0] * size
        self.s = [0.0] * size

    def step(self, theta: Sequence[float], gradient: Sequence[float], loss: float) -> list[float]:
        """Return the parameters after one step.

        Args:
            theta: The parameters.
            gradient: The gradient at them.
            loss: L, the loss at them.
        """
        self.t += 1
        self.l_min = self.gamma0 * loss if self.t == 1 else min(self.l_min, loss)
        g, v = [], []
        for i, grad in enumerate(gradient):
            self.g[i] = (1 - 1 / 10) * self.g[i] + (1 / 10) * grad
            self.m[i] = (1 - 1 / self.tau_m) * self.m[i] + (1 / self.tau_m) * grad
            self.s[i] = (1 - 1 / self.tau_s) * self.s[i] + (1 / self.tau_s) * grad**2
            m = self.m[i] / (1 - (1 - 1 / self.tau_m) ** self.t)
            s = self.s[i] / (1 - (1 - 1 / self.tau_s) ** self.t)
            g.append(self.g[i] / (1 - (1 - 1 / 10) ** self.t))
            v.append(m if self.direction == "momentum" else m / (math.sqrt(s) + self.adam_eps))
        inner = sum(a * b for a, b in zip(g, v, strict=True))
        self.eta = self.alpha * (loss - self.gamma * self.l_min) / (inner + self.eps)
        self.l_min *= 1 + 1 / self.tau
        return [a - self.eta * b for a, b in zip(theta, v, strict=True)]
