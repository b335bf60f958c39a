"""The errors of the service package, one base class."""

from collections.abc import Sequence

from studies.validation.faults import Fault


class ServiceError(Exception):
    """Base of every error this package raises on purpose; its message shows the value and the remedy."""


class UnauthenticatedError(ServiceError):
    """A request without an API key that is worth anything."""


class LoginNeededError(UnauthenticatedError):
    """A page that is asked for by a browser that has not logged in.

    Args:
        location: Where it logs in, to come back.
    """

    def __init__(self, location: str) -> None:
        """Keep the location."""
        super().__init__(f"log in first: {location}")
        self.location = location


class ForbiddenError(ServiceError):
    """A request that its sender may not make: by role, by the study's owner, or from where it comes."""


class TooManyRequestsError(ServiceError):
    """A client that asks too often.

    Args:
        message: Which limit it is.
        seconds: Until it may ask again.
    """

    def __init__(self, message: str, seconds: float) -> None:
        """Keep the seconds."""
        super().__init__(message)
        self.seconds = seconds


class UnknownKeyError(ServiceError):
    """No API key has that id."""


class BadKeyNameError(ServiceError):
    """A name that no API key can have."""


class MalformedKeyError(ServiceError):
    """A text that is given as an API key and has not the form of one."""


class BadSecretError(ServiceError):
    """A text that is given as a secret and cannot be it."""


class UnknownStudyError(ServiceError):
    """No study has that id."""


class UnknownRunError(ServiceError):
    """The study has no run of that id (yet)."""


class UnknownWorkloadError(ServiceError):
    """The study has no workload of that name."""


class UnknownWebhookError(ServiceError):
    """No webhook has that id."""


class PrivateAddressError(ServiceError):
    """A receiver is in the service's own network, where none may be."""


class NoLogError(ServiceError):
    """The study's log is on another machine."""


class KeyReusedError(ServiceError):
    """A key that was given with another study before."""


class WrongStateError(ServiceError):
    """The study's state does not allow what was asked."""


class NoCatalogueError(ServiceError):
    """No runner has published what it can train yet."""


class NoRunnerError(ServiceError):
    """No runner is at work now."""


class NoReportError(ServiceError):
    """The study has no report (yet)."""


class UnknownReportFileError(ServiceError):
    """The study's report has no file of that name."""


class BadBodyError(ServiceError):
    """A body that is not readable JSON or YAML.

    Args:
        message: What is wrong, with line and column where they are known.
        faults: The unreadable values, each with its JSON pointer, where there are such.
    """

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        """Keep the faults."""
        super().__init__(message)
        self.faults = tuple(faults)


class InvalidBodyError(ServiceError):
    """A body that asks for something which cannot be asked for.

    Args:
        faults: At least one.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults."""
        super().__init__("; ".join(f"{fault.pointer or '(the whole body)'}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


class CannotCompareError(ServiceError):
    """Studies that no one report can compare.

    Args:
        faults: The fields in which they differ, at least one.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults."""
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


class JointReportError(ServiceError):
    """A report of several studies that could not be computed on this machine."""


class BadCursorError(ServiceError):
    """A page cursor that this service did not give."""


class BadSettingError(ServiceError):
    """An environment variable whose value no setting admits."""


class ForeignDatabaseError(ServiceError):
    """A database that this version cannot use."""


class PortTakenError(ServiceError):
    """A port that the service is to listen on is in use."""


class StartError(ServiceError):
    """A part of the service did not come up."""


class ProcessDiedError(ServiceError):
    """A part of the service ended while it was needed."""


class UnreachableError(ServiceError):
    """No service answers where the client was sent."""


def quote_value(text: str) -> str:
    """Return what somebody sent as a message may show it."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
