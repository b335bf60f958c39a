"""How a hyperparameter changes over a run: constant, piecewise or cosine, with a warm-up."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum


class ScheduleKind(StrEnum):
    """The shape of a schedule after its warm-up."""

    CONSTANT = "constant"
    PIECEWISE = "piecewise"
    COSINE = "cosine"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What a hyperparameter's value is multiplied by, over a run; places are fractions of the run.

    The steps and factors are those of torch.optim.lr_scheduler: `MultiStepLR`, `CosineAnnealingLR`, and before them in
    `SequentialLR` a `LinearLR` that starts at 1 / (warm-up steps + 1). The milestones count from the run's start.

    Args:
        kind: Its shape.
        milestones: Where a piecewise one is multiplied by gamma, each time.
        gamma: By how much.
        final: Where a cosine one ends.
        warmup: How long the warm-up is.

    Example:
        >>> policy = Schedule(kind=ScheduleKind.PIECEWISE, milestones=(0.4, 0.6, 0.8))
        >>> [round(policy.factor(step, 250), 9) for step in (0, 99, 100, 150, 249)]
        [1.0, 1.0, 0.1, 0.01, 0.001]
    """

    kind: ScheduleKind
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    final: float = 0.0
    warmup: float = 0.0

    @property
    def extremes(self) -> tuple[float, float]:
        """The least and the largest factor of runs of any length; the least may only be approached."""
        last = {
            ScheduleKind.CONSTANT: 1.0,
            ScheduleKind.PIECEWISE: self.gamma ** len(self.milestones),
            ScheduleKind.COSINE: self.final,
        }[self.kind]
        factors = (0.0 if self.warmup else 1.0, 1.0, last)
        return min(factors), max(factors)

    def factor(self, step: int, steps: int) -> float:
        """Return the factor of one step.

        Args:
            step: Counts from 0.
            steps: Length of the run.
        """
        warm = round(self.warmup * steps)
        if step < warm:
            return (step + 1) / (warm + 1)
        if self.kind is ScheduleKind.PIECEWISE:
            return self.gamma ** bisect_right([max(1, round(each * steps)) for each in self.milestones], step)
        if self.kind is ScheduleKind.COSINE:
            return self.final + (1 - self.final) * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
        return 1.0
