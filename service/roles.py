"""The roles of API keys."""

from enum import StrEnum


class Role(StrEnum):
    """A role; each has the permissions of the ones before it."""

    #: Reads everything except webhooks.
    READER = "reader"
    #: Also posts studies, clones any study, and manages its own.
    SUBMITTER = "submitter"
    #: Manages everything, of all owners.
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Return whether this role has the permissions of another one.

        Args:
            other: The other role.
        """
        roles = list(Role)
        return roles.index(self) >= roles.index(other)
