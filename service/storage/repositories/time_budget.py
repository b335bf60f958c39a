"""What a study was estimated to take, what it has taken, and the budget of time that it reached, in the database."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from service.states import State
from service.storage.lifecycle.transitions import record_event
from service.storage.tables import events, studies
from studies.planning.estimate import Estimate
from studies.records.rows import Limit


def read_elapsed(connection: Connection, study_id: str, now: datetime) -> float:
    """Return for how many seconds a study has been RUNNING: in the queue and in PAUSED no time passes.

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
    """Write that a budget ends a study's searches, with an event that says so; once it is written nothing happens.

    Args:
        connection: In a transaction that writes, and that has the study's row.
        study_id: The study.
        limit: The budget.
        reason: What that means, in plain words.
        now: The present time.
    """
    change = update(studies).where(studies.c.id == study_id, studies.c.reached.is_(None)).values(reached=limit.value)
    if connection.execute(change).rowcount:
        state = connection.execute(select(studies.c.state).where(studies.c.id == study_id)).scalar_one()
        record_event(connection, study_id, State(state), reason, now)


def save_estimate(connection: Connection, study_id: str, estimate: Estimate) -> None:
    """Write what a study is estimated to take; the first that is written stays.

    Args:
        connection: In a transaction that writes.
        study_id: The study.
        estimate: Made before anything of it is trained.
    """
    change = update(studies).where(studies.c.id == study_id, studies.c.estimate.is_(None))
    connection.execute(change.values(estimate=estimate.model_dump_json()))


def read_estimate(connection: Connection, study_id: str) -> Estimate | None:
    """Return what a study was estimated to take; None where it was started by a version that did not estimate.

    Args:
        connection: In a transaction.
        study_id: The study.
    """
    text = connection.execute(select(studies.c.estimate).where(studies.c.id == study_id)).scalar_one()
    return None if text is None else Estimate.model_validate_json(text)
