"""Counts for monitoring: studies, runs, lanes, runners and deliveries; cheap to read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, func, not_, select, true

from service.states import HELD, State
from service.storage.lifecycle.transitions import has_state
from service.storage.repositories.run_counts import read_run_counts
from service.storage.tables import deliveries, events, packs, runners, runs, studies, webhooks
from studies.records.rows import Outcome
from studies.spec.parameters import Stage


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Counts at one moment.

    Args:
        studies: Number of studies, for every state.
        queued_seconds: The longest time that a study has been queued; 0 if the queue is empty.
        runs: Number of runs ever finished, for every outcome.
        lanes: Lanes of the unfinished packs of driven studies, dead lanes included.
        occupied_lanes: Number of these lanes that have a run.
        unrecorded_runs: Runs not recorded in MLflow yet.
        runners: Active runners.
        pending_deliveries: Webhook messages not delivered yet.
        failing_webhooks: Webhooks whose last delivery failed.
    """

    studies: Mapping[State, int]
    queued_seconds: float
    runs: Mapping[Outcome, int]
    lanes: int
    occupied_lanes: int
    unrecorded_runs: int
    runners: int
    pending_deliveries: int
    failing_webhooks: int


def read_snapshot(connection: Connection, now: datetime) -> Snapshot:
    """Return the current counts.

    Args:
        connection: In a transaction, so that all reads see the same snapshot.
        now: The present time.
    """
    states = select(studies.c.state, func.count()).group_by(studies.c.state)
    counts = {State(state): count for state, count in connection.execute(states)}
    lanes, occupied = _count_lanes(connection, now)
    return Snapshot(
        studies={state: counts.get(state, 0) for state in State},
        queued_seconds=_queued_seconds(connection, now),
        runs=read_run_counts(connection),
        lanes=lanes,
        occupied_lanes=occupied,
        unrecorded_runs=_count(connection, runs, runs.c.tracked.is_(False)),
        runners=_count(connection, runners, runners.c.expires_at > now),
        pending_deliveries=_count(connection, deliveries, true()),
        failing_webhooks=_count(connection, webhooks, webhooks.c.failing_since.is_not(None)),
    )


def _count(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()


def _queued_seconds(connection: Connection, now: datetime) -> float:
    # a study may be queued several times; the last event of a queued study is the latest time
    queued = select(studies.c.id).where(studies.c.state == State.QUEUED.value)
    since = select(func.max(events.c.at).label("at")).where(events.c.study.in_(queued)).group_by(events.c.study)
    queued_at = connection.execute(select(func.min(since.subquery().c.at))).scalar_one_or_none()
    return 0.0 if queued_at is None else max(0.0, (now - queued_at).total_seconds())


def _count_lanes(connection: Connection, now: datetime) -> tuple[int, int]:
    driven = (has_state(HELD), studies.c.lease_expires_at >= now)
    unfinished = select(packs.c.lanes, packs.c.width).join(studies, studies.c.id == packs.c.study)
    lanes = occupied = 0
    # search packs left over when a budget ended the searches are never trained
    abandoned = and_(studies.c.reached.is_not(None), packs.c.stage == Stage.SEARCH.value)
    for lanes_json, width in connection.execute(unfinished.where(*driven, packs.c.done.is_(False), not_(abandoned))):
        run_count = len(json.loads(lanes_json))
        occupied += run_count
        lanes += width or run_count
    return lanes, occupied
