"""The exceptions of this package."""


class L4Error(Exception):
    """Base class of this package's exceptions."""


class BadHyperparameterError(L4Error, ValueError):
    """A hyperparameter has an invalid value."""


class BadLossError(L4Error, TypeError):
    """`step` got no loss, two, or one that is not a number."""


class SparseGradientError(L4Error, RuntimeError):
    """A gradient is sparse."""


class NonFiniteError(L4Error, ArithmeticError):
    """A loss or a gradient is infinite or NaN."""


class NegativeLossError(L4Error, ArithmeticError):
    """A loss is below its floor."""
