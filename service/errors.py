"""The errors of the service package, with a common base class."""

from collections.abc import Sequence

from studies.validation.faults import Fault, describe_faults


class ServiceError(Exception):
    """Base class of the package's errors; messages show the offending value and the remedy."""


class UnauthenticatedError(ServiceError):
    """A request without a valid API key."""


class LoginNeededError(UnauthenticatedError):
    """A browser requested a page without being logged in.

    Args:
        location: The URL of the login page, which returns to the requested page.
    """

    def __init__(self, location: str) -> None:
        """Keep the location."""
        super().__init__(f"log in first: {location}")
        self.location = location


class ForbiddenError(ServiceError):
    """A request that is not allowed: because of the caller's role, the study's owner, or the request's origin."""


class TooManyRequestsError(ServiceError):
    """A client exceeded a rate limit.

    Args:
        message: Names the limit.
        seconds: Time until the client may retry.
    """

    def __init__(self, message: str, seconds: float) -> None:
        """Keep the seconds."""
        super().__init__(message)
        self.seconds = seconds


class UnknownKeyError(ServiceError):
    """No API key has that id."""


class BadKeyNameError(ServiceError):
    """An invalid name for an API key."""


class MalformedKeyError(ServiceError):
    """A text that does not have the form of an API key."""


class BadSecretError(ServiceError):
    """An invalid secret."""


class UnknownStudyError(ServiceError):
    """No study has that id."""


class UnknownRunError(ServiceError):
    """The study has no run of that id (yet)."""


class UnknownWorkloadError(ServiceError):
    """The study has no workload of that name."""


class UnknownWebhookError(ServiceError):
    """No webhook has that id."""


class PrivateAddressError(ServiceError):
    """A webhook's receiver has a private address, which is not allowed."""


class NoLogError(ServiceError):
    """The study's log is on another machine."""


class KeyReusedError(ServiceError):
    """An idempotency key that was used with another request before."""


class WrongStateError(ServiceError):
    """The study's state does not allow the action."""


class NoCatalogueError(ServiceError):
    """No runner has published a catalogue yet."""


class NoRunnerError(ServiceError):
    """No runner is active."""


class NoMachineError(ServiceError):
    """Machines have joined, and none of them can train."""


class NoReportError(ServiceError):
    """The study has no report (yet)."""


class UnknownReportFileError(ServiceError):
    """The study's report has no file of that name."""


class BadBodyError(ServiceError):
    """A body that is not readable JSON or YAML.

    Args:
        message: What is wrong, with line and column if known.
        faults: The unreadable values, each with its JSON pointer; may be empty.
    """

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        """Keep the faults."""
        super().__init__(message)
        self.faults = tuple(faults)


class InvalidBodyError(ServiceError):
    """A readable body with invalid values.

    Args:
        faults: At least one.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults."""
        super().__init__(describe_faults(faults))
        self.faults = tuple(faults)


class CannotCompareError(ServiceError):
    """Studies that cannot be compared in one report.

    Args:
        faults: The fields in which they differ, at least one.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults."""
        super().__init__(describe_faults(faults))
        self.faults = tuple(faults)


class JointReportError(ServiceError):
    """A report of several studies that could not be computed on this machine."""


class BadCursorError(ServiceError):
    """An invalid page cursor."""


class BadSettingError(ServiceError):
    """An environment variable with an invalid value."""


class ForeignDatabaseError(ServiceError):
    """A database that this version cannot use."""


class UnwritableHomeError(ServiceError):
    """The folder of the service's data cannot be written to."""


class PortTakenError(ServiceError):
    """A port that the service listens on is in use."""


class StartError(ServiceError):
    """A process of the service did not become ready."""


class ProcessDiedError(ServiceError):
    """A process of the service ended unexpectedly."""


class DiskFullError(ServiceError):
    """A disk without room for what the service writes."""


class UnreachableError(ServiceError):
    """A service, a database or a webhook's receiver cannot be reached."""


class ForeignServiceError(ServiceError):
    """What answers at the service's address is no service of this version."""


def quote_value(text: str) -> str:
    """Return a value from a client, quoted and shortened for messages."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
