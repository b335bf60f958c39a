"""Faults of a posted study, each with its JSON pointer."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.errors import StudiesError

#: An answer names so many faults; a body may have thousands.
MAX_NAMED_FAULTS = 100


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault of a body.

    Args:
        pointer: Its location, as a JSON pointer (RFC 6901).
        detail: What is wrong, with the value and the remedy.
    """

    pointer: str
    detail: str


class InvalidStudyError(StudiesError):
    """A body that is not a valid study; `faults` lists everything wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults.

        Args:
            faults: At least one.
        """
        super().__init__(describe_faults(faults))
        self.faults = tuple(faults)


def describe_faults(faults: Sequence[Fault]) -> str:
    """Return faults as text: the first of them, and how many more there are.

    Args:
        faults: At least one.
    """
    named = "; ".join(f"{fault.pointer or '(the whole body)'}: {fault.detail}" for fault in faults[:MAX_NAMED_FAULTS])
    more = len(faults) - MAX_NAMED_FAULTS
    return f"{named}; and {more} more" if more > 0 else named


def json_pointer(*parts: object) -> str:
    """Return the JSON pointer of a path.

    Args:
        parts: Keys and indices from the root.

    Example:
        >>> json_pointer("arms", 0, "a/b")
        '/arms/0/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
