"""Exponential moving averages and their bias correction (section 2.3 of the paper)."""

import torch
from torch import Tensor

#: A number, or a 0-dim tensor where every lane has its own value.
Scalar = float | Tensor


def ema(average: Tensor, value: Tensor, tau: Scalar) -> Tensor:
    """Return the next exponential moving average, (1 - 1/tau) average + (1/tau) value.

    Args:
        average: The average so far, zero before the first value.
        value: The new value, of the same shape.
        tau: Timescale in steps, at least 1.

    Returns:
        The next average, without bias correction.

    Example:
        >>> import torch
        >>> ema(torch.zeros(1), torch.ones(1), 10.0)
        tensor([0.1000])
    """
    return average + (value - average) / tau


def correction(tau: Scalar, t: Tensor) -> Tensor:
    """Return the bias correction of an average that starts at zero: its divisor, 1 - (1 - 1/tau)^t.

    Args:
        tau: Timescale in steps.
        t: Number of averaged values, counted from 1; 0-dim float64.

    Returns:
        A 0-dim float64 tensor.
    """
    return torch.rsub(torch.pow(1 - 1 / tau, t), 1)  # 1 - x in one operation
