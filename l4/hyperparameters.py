"""Validation of the hyperparameters of L4 optimizers."""

import math
from typing import Any

from torch import Tensor

from l4.errors import BadHyperparameterError
from l4.guards import GUARD_ACTIONS


def check_hyperparameters(group: dict[str, Any]) -> None:
    """Check the hyperparameters that every L4 optimizer has.

    Args:
        group: A parameter group.

    Raises:
        BadHyperparameterError: A value is invalid.
    """
    require_range(group, "lr", 0, math.inf)
    require_range(group, "weight_decay", 0, math.inf)
    require_range(group, "alpha", 0, math.inf)
    require_range(group, "gamma", 0, 1)
    require_range(group, "gamma0", 0, 1)
    require_range(group, "tau", 1, math.inf)
    require_range(group, "eps", 0, math.inf)
    if group["max_eta"] is not None:
        require_range(group, "max_eta", 0, math.inf)
    if group["loss_floor"] != "estimate":
        require_range(group, "loss_floor", -math.inf, math.inf)
    for name in ("on_nonfinite", "on_negative"):
        if group[name] not in GUARD_ACTIONS:
            raise BadHyperparameterError(f"{name} is {group[name]!r}, and has to be one of {', '.join(GUARD_ACTIONS)}")


def require_range(group: dict[str, Any], name: str, low: float, high: float) -> None:
    """Check that a hyperparameter is a finite number in a range.

    Args:
        group: A parameter group.
        name: The hyperparameter.
        low: The smallest valid value.
        high: The largest valid value.

    Raises:
        BadHyperparameterError: It is not.
    """
    value = group[name]
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise BadHyperparameterError(
                f"{name} is a tensor of shape {tuple(value.shape)}: Tensor {name} must be 1-element"
            )
        return  # reading its value would synchronize with the device
    if not (isinstance(value, float | int) and low <= value <= high and math.isfinite(value)):
        raise BadHyperparameterError(f"Invalid {name} value: {value!r}; it has to be between {low} and {high}")
