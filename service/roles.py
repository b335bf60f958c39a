"""What the holder of an API key may do."""

from enum import StrEnum


class Role(StrEnum):
    """A role; each may do all that the ones before it may."""

    #: Reads everything but webhooks.
    READER = "reader"
    #: Also posts studies and clones any; does to its own what can be done to studies.
    SUBMITTER = "submitter"
    #: Everything, of everybody.
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Say whether who has this role may do what another one may.

        Args:
            other: The other role.
        """
        roles = list(Role)
        return roles.index(self) >= roles.index(other)
