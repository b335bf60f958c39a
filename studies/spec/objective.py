"""The objective of a study: the quantity that searches select on and arms are compared on."""

import math
from dataclasses import dataclass

from studies.spec.parameters import Direction


def is_loss(name: str) -> bool:
    """Return whether a measured quantity is a loss, so that it is compared and averaged in the logarithm.

    Args:
        name: `train_loss`, `validation_loss`, `test_loss` or a metric's name.
    """
    return name.endswith("_loss")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A measured quantity with its direction and its comparison scale: log10 of a loss, any other value as it is.

    Args:
        name: `train_loss`, `validation_loss` or `validation_<metric>`.
        direction: Which way it is better.
        loss_floor: Smaller losses count as this one, so that a loss of 0 has a logarithm.
    """

    name: str
    direction: Direction
    loss_floor: float

    @property
    def is_loss(self) -> bool:
        """Whether it is compared in the logarithm."""
        return is_loss(self.name)

    @property
    def worst(self) -> float:
        """The value of a run that diverged."""
        return self.direction.sign * math.inf

    def to_comparison_scale(self, value: float) -> float:
        """Return a value on the comparison scale.

        Args:
            value: The value; infinite where a run diverged.
        """
        return math.log10(max(value, self.loss_floor)) if self.is_loss else value

    def oriented(self, value: float) -> float:
        """Return a value on the comparison scale with the sign that makes smaller better.

        Args:
            value: The value; infinite where a run diverged.
        """
        return self.direction.sign * self.to_comparison_scale(value)

    def from_oriented(self, value: float) -> float:
        """Return the value that `oriented` maps to this one.

        Args:
            value: A finite oriented value.
        """
        value = self.direction.sign * value
        return 10.0**value if self.is_loss else value
