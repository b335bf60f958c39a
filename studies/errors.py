"""The errors of the studies package, one base class."""


class StudiesError(Exception):
    """Base of every error this package raises on purpose; its message shows the value and the remedy."""


class UnknownNameError(StudiesError):
    """A workload, optimizer or statistic that no file of its folder provides."""


class InvalidValueError(StudiesError):
    """A value that a definition does not admit."""


class DataMissingError(StudiesError):
    """A data set that is neither in the data directory nor could be downloaded."""


class OutOfMemoryError(StudiesError):
    """A pack that did not fit into the memory of its worker."""


class CompilationError(StudiesError):
    """A step that could not be compiled on its worker."""


class PackFailedError(StudiesError):
    """A pack that could not be trained; the message is the worker's reason in plain words."""


class StoppedError(StudiesError):
    """The study was asked to stop, or its lease was lost; nothing more may be written."""


class ClusterError(StudiesError):
    """A Ray cluster that this machine cannot join."""


class OtherCodeError(StudiesError):
    """Two machines of a cluster that have not the same code, and so would not train the same."""


class BundleError(StudiesError):
    """A folder that is no unpacked bundle of this version."""
