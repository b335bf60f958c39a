"""The errors of the studies package, one base class."""


class StudiesError(Exception):
    """Base class of this package's errors; the message shows the value and the remedy."""


class UnknownNameError(StudiesError):
    """A workload, optimizer or statistic that does not exist."""


class InvalidValueError(StudiesError):
    """A value outside the bounds or choices of its definition."""


class DataMissingError(StudiesError):
    """A data set is not in the data directory and could not be downloaded."""


class OutOfMemoryError(StudiesError):
    """A pack did not fit into the memory of its worker."""


class CompilationError(StudiesError):
    """A step could not be compiled on its worker."""


class UnusableGpuError(StudiesError):
    """Torch cannot use the GPU that a pack is to be trained on."""


class PackFailedError(StudiesError):
    """A pack could not be trained; the message is the worker's reason in plain words."""


class StoppedError(StudiesError):
    """The study was asked to stop, or its lease was lost; nothing more may be written."""


class ClusterError(StudiesError):
    """This machine cannot join a Ray cluster."""


class CodeMismatchError(StudiesError):
    """Two machines of a cluster do not have the same code, so their results could differ."""


class BundleError(StudiesError):
    """A folder is not an unpacked bundle of this version."""
