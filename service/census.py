"""The census: how many studies, runs, lanes and runners the database has, cheap enough to be asked for often."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from service.states import HELD, State
from service.tables import events, packs, runners, runs, studies
from service.tallies import read_tallies
from service.transitions import is_in
from studies.rows import Outcome


@dataclass(frozen=True, kw_only=True)
class Census:
    """What there is at one moment.

    Args:
        studies: By state, those that there are none of included.
        queued_seconds: How long the study that will be claimed next has been in the queue; 0 where it is empty.
        runs: How many were ever done, by outcome.
        lanes: Lanes of the packs that held studies have in training or next in line, dead ones included.
        filled: How many of these have a run.
        unrecorded: Runs that MLflow does not have yet.
        runners: Runners at work.
    """

    studies: Mapping[State, int]
    queued_seconds: float
    runs: Mapping[Outcome, int]
    lanes: int
    filled: int
    unrecorded: int
    runners: int


def census(connection: Connection, now: datetime) -> Census:
    """Return what there is.

    Args:
        connection: In a transaction, so that all is of one moment.
        now: The present time.
    """
    states = select(studies.c.state, func.count()).group_by(studies.c.state)
    found = {State(state): count for state, count in connection.execute(states)}
    unrecorded = select(func.count()).select_from(runs).where(runs.c.tracked.is_(False))
    at_work = select(func.count()).select_from(runners).where(runners.c.expires_at > now)
    lanes, filled = _lanes(connection, now)
    return Census(
        studies={state: found.get(state, 0) for state in State},
        queued_seconds=_queued_seconds(connection, now),
        runs=read_tallies(connection),
        lanes=lanes,
        filled=filled,
        unrecorded=connection.execute(unrecorded).scalar_one(),
        runners=connection.execute(at_work).scalar_one(),
    )


def _queued_seconds(connection: Connection, now: datetime) -> float:
    oldest = select(func.min(studies.c.id)).where(studies.c.state == State.QUEUED.value)
    # its last event is that it was queued: it may have been so before
    since = select(func.max(events.c.at)).where(events.c.study == oldest.scalar_subquery())
    queued_at = connection.execute(since).scalar_one_or_none()
    return 0.0 if queued_at is None else max(0.0, (now - queued_at).total_seconds())


def _lanes(connection: Connection, now: datetime) -> tuple[int, int]:
    driven = (is_in(HELD), studies.c.lease_expires_at >= now)
    unfinished = select(packs.c.lanes, packs.c.width).join(studies, studies.c.id == packs.c.study)
    lanes = filled = 0
    for members, width in connection.execute(unfinished.where(*driven, packs.c.done.is_(False))):
        runs_in_it = len(json.loads(members))
        filled += runs_in_it
        lanes += width or runs_in_it
    return lanes, filled
