"""How many packs a study may have in training at once, where its owner's GPUs are limited."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from service.settings import packs_within
from service.states import HELD
from service.storage.lifecycle.transitions import has_state
from service.storage.tables import studies


@dataclass(frozen=True, kw_only=True)
class GpuShare:
    """A study's part of what its owner may use.

    Args:
        index: Among its owner's studies that drivers hold, the oldest being 0.
        count: How many those are.
    """

    index: int
    count: int

    def portion_of(self, total: int) -> int:
        """Return this part of a whole number that is divided as evenly as it can be; the oldest get more.

        >>> [Share(place=place, parts=3).of(5) for place in range(3)]
        [2, 2, 1]
        """
        return total // self.count + (self.index < total % self.count)

    def max_packs(self, gpus: float, gpus_per_pack: float) -> int:
        """Return how many packs fit into the study's part.

        Args:
            gpus: The owner's limit.
            gpus_per_pack: GPUs of each pack, above 0.
        """
        return self.portion_of(packs_within(gpus, gpus_per_pack))


def read_gpu_share(connection: Connection, study_id: str, now: datetime) -> GpuShare:
    """Return a study's part of what its owner may use.

    Args:
        connection: In a transaction.
        study_id: A study that a driver holds.
        now: The present time.
    """
    owner = select(studies.c.owner).where(studies.c.id == study_id).scalar_subquery()
    others = (studies.c.owner.is_not_distinct_from(owner), has_state(HELD), studies.c.lease_expires_at >= now)
    found = connection.execute(select(studies.c.id).where(*others, studies.c.id != study_id)).scalars().all()
    return GpuShare(index=sum(other < study_id for other in found), count=1 + len(found))
