"""The order in which waiting studies are taken up: the urgent first, then in turns among their owners, then by age."""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from service.states import HELD, State
from service.storage.lifecycle.transitions import is_in
from service.storage.tables import studies

_NEVER = datetime.min.replace(tzinfo=UTC)
_JUST_NOW = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A study that waits for a driver.

    Args:
        id: Sorts by the time of creation.
        name: The study's.
        owner: Whose it is; None where access is off, and all are of one owner.
        priority: The higher the sooner.
    """

    id: str
    name: str
    owner: str | None
    priority: int


@dataclass(frozen=True, kw_only=True)
class Served:
    """What an owner has had of the runners.

    Args:
        running: Studies that drivers hold.
        last: When one was last taken up for the first time; long ago where none was.
    """

    running: int = 0
    last: datetime = _NEVER


def in_order(waiting: Sequence[Waiting], served: Mapping[str | None, Served]) -> Iterator[Waiting]:
    """Yield waiting studies in the order in which they will be taken up, if nothing comes in between.

    The highest priority first; among equals that of the owner with the fewest running studies, each that was yielded
    counted as one; then of the one who was served longest ago; then the oldest.

    Args:
        waiting: The studies.
        served: By owner; one that is not in it has had nothing.
    """
    own: dict[str | None, deque[Waiting]] = defaultdict(deque)
    for study in sorted(waiting, key=lambda study: (-study.priority, study.id)):
        own[study.owner].append(study)
    had = {owner: served.get(owner, Served()) for owner in own}

    def turn(owner: str | None) -> tuple[int, int, datetime, str, str | None]:
        first = own[owner][0]
        return (-first.priority, had[owner].running, had[owner].last, first.id, owner)

    turns = [turn(owner) for owner in own]
    heapq.heapify(turns)
    while turns:
        owner = heapq.heappop(turns)[-1]
        yield own[owner].popleft()
        had[owner] = Served(running=had[owner].running + 1, last=_JUST_NOW)
        if own[owner]:
            heapq.heappush(turns, turn(owner))


def queue(connection: Connection, now: datetime) -> Iterator[Waiting]:
    """Yield the queued studies in the order in which they will be taken up.

    Args:
        connection: In a transaction.
        now: The present time.
    """
    columns = (studies.c.id, studies.c.name, studies.c.owner, studies.c.priority)
    query = select(*columns).where(studies.c.state == State.QUEUED.value)
    waiting = [
        Waiting(id=row.id, name=row.name, owner=row.owner, priority=row.priority) for row in connection.execute(query)
    ]
    return in_order(waiting, _served(connection, now) if waiting else {})


def running(connection: Connection, now: datetime) -> dict[str | None, int]:
    """Return how many studies drivers hold, by owner.

    Args:
        connection: In a transaction.
        now: The present time.
    """
    held = (is_in(HELD), studies.c.lease_expires_at >= now)
    return Counter(connection.execute(select(studies.c.owner).where(*held)).scalars())


def _served(connection: Connection, now: datetime) -> dict[str | None, Served]:
    latest = select(studies.c.owner, func.max(studies.c.started_at)).group_by(studies.c.owner)
    held = running(connection, now)
    return {
        owner: Served(running=held.get(owner, 0), last=last or _NEVER) for owner, last in connection.execute(latest)
    }
