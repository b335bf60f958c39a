"""Faults of a posted study, each with its JSON pointer."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.errors import StudiesError


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
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


def json_pointer(*parts: object) -> str:
    """Return the JSON pointer of a path.

    Args:
        parts: Keys and indices from the root.

    Example:
        >>> json_pointer("arms", 0, "a/b")
        '/arms/0/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
