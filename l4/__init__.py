"""L4: loss-based step sizes for gradient descent (Rolinek and Martius, NIPS 2018)."""

from l4.directions import Adam, Direction, Momentum
from l4.errors import (
    BadHyperparameterError,
    BadLossError,
    L4Error,
    NegativeLossError,
    NonFiniteError,
    SparseGradientError,
)
from l4.l4 import L4
from l4.l4_adam import L4Adam
from l4.l4_mom import L4Mom

__all__ = [
    "L4",
    "Adam",
    "BadHyperparameterError",
    "BadLossError",
    "Direction",
    "L4Adam",
    "L4Error",
    "L4Mom",
    "Momentum",
    "NegativeLossError",
    "NonFiniteError",
    "SparseGradientError",
]
