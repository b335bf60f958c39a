"""A study's cost estimate, its elapsed time, and the budget that ended its searches."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from service.states import State
from service.storage.lifecycle.transitions import record_event
from service.storage.tables import events, studies
from studies.planning.estimate import Estimate
from studies.records.rows import Limit


def read_elapsed(connection: Connection, study_id: str, now: datetime) -> float:
    """Return how many seconds a study has been RUNNING; time in the queue or PAUSED does not count.

    Args:
        connection: In a transaction.
        study_id: The study.
        now: The present time.
    """
    query = select(events.c.at, events.c.kind).where(events.c.study == study_id).order_by(events.c.id)
    moments = [(row.at, row.kind == State.RUNNING) for row in connection.execute(query)]
    ends = [at for at, _ in moments[1:]] + [now]
    return sum((end - at).total_seconds() for (at, runs), end in zip(moments, ends, strict=False) if runs)


def record_limit_reached(connection: Connection, study_id: str, limit: Limit, reason: str, now: datetime) -> None:
    """Record, with an event, that a budget ends a study's searches; does nothing if one was recorded before.

    Args:
        connection: In a write transaction that holds the lock of the study's row.
        study_id: The study.
        limit: The budget.
        reason: The message of the event.
        now: The present time.
    """
    change = update(studies).where(studies.c.id == study_id, studies.c.reached.is_(None)).values(reached=limit.value)
    if connection.execute(change).rowcount:
        state = connection.execute(select(studies.c.state).where(studies.c.id == study_id)).scalar_one()
        record_event(connection, study_id, State(state), reason, now)


def save_estimate(connection: Connection, study_id: str, estimate: Estimate) -> None:
    """Save a study's estimate, unless one was saved before.

    Args:
        connection: In a write transaction.
        study_id: The study.
        estimate: Computed before any training.
    """
    change = update(studies).where(studies.c.id == study_id, studies.c.estimate.is_(None))
    connection.execute(change.values(estimate=estimate.model_dump_json()))


def read_estimate(connection: Connection, study_id: str) -> Estimate | None:
    """Return a study's estimate; None if a version without estimates started it.

    Args:
        connection: In a transaction.
        study_id: The study.
    """
    text = connection.execute(select(studies.c.estimate).where(studies.c.id == study_id)).scalar_one()
    return None if text is None else Estimate.model_validate_json(text)
