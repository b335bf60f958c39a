"""What this package raises."""


class L4Error(Exception):
    """Anything that went wrong in l4."""


class BadHyperparameterError(L4Error, ValueError):
    """A hyperparameter is not admitted."""


class BadLossError(L4Error, TypeError):
    """`step` was not given exactly one loss, or one that is not a number."""


class SparseGradientError(L4Error, RuntimeError):
    """A gradient is sparse."""


class NonFiniteError(L4Error, ArithmeticError):
    """A loss or a gradient is infinite or NaN."""


class NegativeLossError(L4Error, ArithmeticError):
    """A loss is below the floor that the step size counts from."""
