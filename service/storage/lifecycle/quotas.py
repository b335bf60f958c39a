"""How many packs a study may have in training at once, where its owner's GPUs are limited."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from service.settings import packs_within
from service.states import HELD
from service.storage.lifecycle.transitions import is_in
from service.storage.tables import studies


@dataclass(frozen=True, kw_only=True)
class Share:
    """A study's part of what its owner may use.

    Args:
        place: Among its owner's studies that drivers hold, the oldest being 0.
        parts: How many those are.
    """

    place: int
    parts: int

    def of(self, whole: int) -> int:
        """Return this part of a whole number that is divided as evenly as it can be; the oldest get more.

        >>> [Share(place=place, parts=3).of(5) for place in range(3)]
        [2, 2, 1]
        """
        return whole // self.parts + (self.place < whole % self.parts)

    def packs(self, gpus: float, each: float) -> int:
        """Return how many packs fit into the study's part.

        Args:
            gpus: The owner's limit.
            each: GPUs of each pack, above 0.
        """
        return self.of(packs_within(gpus, each))


def share(connection: Connection, study_id: str, now: datetime) -> Share:
    """Return a study's part of what its owner may use.

    Args:
        connection: In a transaction.
        study_id: A study that a driver holds.
        now: The present time.
    """
    owner = select(studies.c.owner).where(studies.c.id == study_id).scalar_subquery()
    others = (studies.c.owner.is_not_distinct_from(owner), is_in(HELD), studies.c.lease_expires_at >= now)
    found = connection.execute(select(studies.c.id).where(*others, studies.c.id != study_id)).scalars().all()
    return Share(place=sum(other < study_id for other in found), parts=1 + len(found))
