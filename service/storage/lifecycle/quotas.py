"""A study's share of its owner's GPU quota."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from service.settings import packs_within
from service.states import HELD
from service.storage.lifecycle.transitions import has_state
from service.storage.tables import studies


@dataclass(frozen=True, kw_only=True)
class GpuShare:
    """A study's share of its owner's quota.

    Args:
        index: Its position among the owner's running studies, 0 for the oldest.
        count: Number of the owner's running studies.
    """

    index: int
    count: int

    def portion_of(self, total: int) -> int:
        """Return this share of a number that is divided as evenly as possible; older studies get the remainder.

        >>> [GpuShare(index=index, count=3).portion_of(5) for index in range(3)]
        [2, 2, 1]
        """
        return total // self.count + (self.index < total % self.count)

    def max_packs(self, gpus: float, gpus_per_pack: float) -> int:
        """Return how many packs fit into this share.

        Args:
            gpus: The owner's quota.
            gpus_per_pack: GPUs of each pack, above 0.
        """
        return self.portion_of(packs_within(gpus, gpus_per_pack))


def read_gpu_share(connection: Connection, study_id: str, now: datetime) -> GpuShare:
    """Return a study's share of its owner's quota.

    Args:
        connection: In a transaction.
        study_id: A running study.
        now: The present time.
    """
    owner = select(studies.c.owner).where(studies.c.id == study_id).scalar_subquery()
    others = (studies.c.owner.is_not_distinct_from(owner), has_state(HELD), studies.c.lease_expires_at >= now)
    other_ids = connection.execute(select(studies.c.id).where(*others, studies.c.id != study_id)).scalars().all()
    return GpuShare(index=sum(other < study_id for other in other_ids), count=1 + len(other_ids))
