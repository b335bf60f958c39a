"""What can be set (options, hyperparameters) and what is measured (metrics), as plain data."""

import sys
from dataclasses import dataclass
from enum import StrEnum

from studies.errors import InvalidValueError

#: Seconds of a step of a lane, for workloads that do not say.
STEP_SECONDS = 0.01


class Precision(StrEnum):
    """What matrix products and convolutions of a training step are computed in, where the workload's type is float32.

    `tf32` is for NVIDIA's tensor cores and changes nothing elsewhere; `bfloat16` is torch's autocast of the model and
    the loss. Parameters, gradients, optimizer and measurements keep the workload's type.
    """

    FLOAT32 = "float32"
    TF32 = "tf32"
    BFLOAT16 = "bfloat16"


class Direction(StrEnum):
    """Which way a metric is better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> float:
        """What a value is multiplied by, so that smaller is better."""
        return 1.0 if self is Direction.MINIMIZE else -1.0


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A quantity measured on the validation and test data beside the loss.

    Args:
        name: The metric's standard name, as in `accuracy`.
        direction: Which way is better.
        summary: One sentence, with the unit.
    """

    name: str
    direction: Direction
    summary: str


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting of a workload: a number within bounds, or one of some choices.

    Args:
        name: The option's name.
        default: Its value where a study gives none.
        summary: One sentence, with the unit.
        choices: The admitted words; empty for a number.
        low: Smallest admitted number, inclusive; None for no bound.
        high: Largest admitted number, inclusive; None for no bound.
    """

    name: str
    default: float | int | str
    summary: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Check that the default is itself admitted."""
        fault = self.fault(self.default)
        if fault is not None:
            raise InvalidValueError(f"default of option {self.name!r}: {fault}")

    def fault(self, value: object) -> str | None:
        """Say what is wrong with a value, or None.

        Args:
            value: The value a study gives.
        """
        if self.choices:
            return None if value in self.choices else f"{value!r} is not one of {', '.join(self.choices)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{value!r} is not a number"
        fault = _bound_fault(value, self.low, self.high)
        if fault is None and isinstance(self.default, int) and value != int(value):
            return f"{value!r} is not a whole number"
        return fault


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """A number that an optimizer takes, its default, its natural bounds and its default search range.

    Args:
        name: The field's standard name, as in torch.optim.
        default: Its value where an arm gives none.
        summary: One sentence, with the unit.
        at_least: Natural lower bound, inclusive; a search is never extended past it.
        at_most: Natural upper bound, inclusive.
        search_low: Lower end of the default search range.
        search_high: Upper end of the default search range.
        log: Whether the search is uniform in the logarithm.
    """

    name: str
    default: float
    summary: str
    at_least: float | None = None
    at_most: float | None = None
    search_low: float
    search_high: float
    log: bool = True

    def __post_init__(self) -> None:
        """Check that the default and the search range are admitted."""
        for value in (self.default, self.search_low, self.search_high):
            fault = self.fault(value)
            if fault is not None:
                raise InvalidValueError(f"hyperparameter {self.name!r}: {fault}")
        if not self.search_low < self.search_high:
            raise InvalidValueError(f"hyperparameter {self.name!r}: search range {self.search_low}..{self.search_high}")
        if self.log and self.search_low <= 0:
            raise InvalidValueError(f"hyperparameter {self.name!r}: a log range starts above 0, not {self.search_low}")

    def fault(self, value: float) -> str | None:
        """Say what is wrong with a value, or None.

        Args:
            value: The value an arm gives.
        """
        return _bound_fault(value, self.at_least, self.at_most)


def _bound_fault(value: float, low: float | None, high: float | None) -> str | None:
    if not abs(value) <= sys.float_info.max:  # infinite, NaN, or a whole number that no float holds
        return f"{value!r} is not finite"
    if low is not None and value < low:
        return f"{value!r} is below {low:g}"
    if high is not None and value > high:
        return f"{value!r} is above {high:g}"
    return None


class Stage(StrEnum):
    """What a run is for: finding a setting, or comparing the found ones on fresh seeds."""

    SEARCH = "search"
    CONFIRM = "confirm"
