"""The order of the queue: by priority, then fairly among owners, then by age."""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from service.states import HELD, State
from service.storage.lifecycle.transitions import has_state
from service.storage.tables import studies

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_FAR_FUTURE = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class QueuedStudy:
    """A queued study.

    Args:
        id: Sorts by the time of creation.
        name: Its name.
        owner: Its owner; None without access control.
        priority: Higher priorities are claimed first.
    """

    id: str
    name: str
    owner: str | None
    priority: int


@dataclass(frozen=True, kw_only=True)
class OwnerUsage:
    """An owner's share of the runners so far.

    Args:
        running: Number of running studies.
        last_started_at: When a study was last started; the distant past if none was.
    """

    running: int = 0
    last_started_at: datetime = _LONG_AGO


def fair_order(queued: Sequence[QueuedStudy], usage_by_owner: Mapping[str | None, OwnerUsage]) -> Iterator[QueuedStudy]:
    """Yield queued studies in the order in which they will be claimed.

    The highest priority comes first; among equals the owner with the fewest running studies (yielded ones count as
    running), then the owner whose last start is longest ago, then the oldest study.

    Args:
        queued: The studies.
        usage_by_owner: Usage of the owners that have any.
    """
    queues: dict[str | None, deque[QueuedStudy]] = defaultdict(deque)
    for study in sorted(queued, key=lambda study: (-study.priority, study.id)):
        queues[study.owner].append(study)
    usage = {owner: usage_by_owner.get(owner, OwnerUsage()) for owner in queues}

    def sort_key(owner: str | None) -> tuple[int, int, datetime, str, str | None]:
        first = queues[owner][0]
        return (-first.priority, usage[owner].running, usage[owner].last_started_at, first.id, owner)

    owners = [sort_key(owner) for owner in queues]
    heapq.heapify(owners)
    while owners:
        owner = heapq.heappop(owners)[-1]
        yield queues[owner].popleft()
        usage[owner] = OwnerUsage(running=usage[owner].running + 1, last_started_at=_FAR_FUTURE)
        if queues[owner]:
            heapq.heappush(owners, sort_key(owner))


def read_queue(connection: Connection, now: datetime) -> Iterator[QueuedStudy]:
    """Yield the queued studies in the order in which they will be claimed.

    Args:
        connection: In a transaction.
        now: The present time.
    """
    columns = (studies.c.id, studies.c.name, studies.c.owner, studies.c.priority)
    query = select(*columns).where(studies.c.state == State.QUEUED.value)
    queued = [
        QueuedStudy(id=row.id, name=row.name, owner=row.owner, priority=row.priority)
        for row in connection.execute(query)
    ]
    return fair_order(queued, _read_owner_usage(connection, now) if queued else {})


def count_running_by_owner(connection: Connection, now: datetime) -> dict[str | None, int]:
    """Return the number of running studies by owner.

    Args:
        connection: In a transaction.
        now: The present time.
    """
    held = (has_state(HELD), studies.c.lease_expires_at >= now)
    return Counter(connection.execute(select(studies.c.owner).where(*held)).scalars())


def _read_owner_usage(connection: Connection, now: datetime) -> dict[str | None, OwnerUsage]:
    latest = select(studies.c.owner, func.max(studies.c.started_at)).group_by(studies.c.owner)
    held = count_running_by_owner(connection, now)
    return {
        owner: OwnerUsage(running=held.get(owner, 0), last_started_at=last or _LONG_AGO)
        for owner, last in connection.execute(latest)
    }
