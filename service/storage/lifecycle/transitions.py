"""State transitions of studies: guarded updates, each with an event, and the errors of refused ones."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, select, update

from service.errors import UnknownStudyError, WrongStateError, quote_value
from service.states import ENDED, HELD, SOURCES, State
from service.storage.lifecycle.outbox import enqueue_deliveries
from service.storage.tables import events, studies
from studies.errors import StoppedError


def transition(
    connection: Connection, study_id: str, to: State, reason: str, *, token: str | None, now: datetime
) -> None:
    """Change a study's state, if its current state allows it.

    Args:
        connection: In a write transaction.
        study_id: The study.
        to: The new state.
        reason: Why.
        token: The claim's token; None for changes that need no claim.
        now: The present time.

    Raises:
        UnknownStudyError: No such study.
        StoppedError: The lease was lost.
        WrongStateError: The current state does not allow the transition.
    """
    guarded = (
        update(studies).where(studies.c.id == study_id, has_state(SOURCES[to])).values(state=to.value, reason=reason)
    )
    if to not in HELD:
        guarded = guarded.values(lease_token=None, lease_expires_at=None, waiting=None)
    guarded = guarded.values(ended_at=now if to in ENDED else None)
    if token is not None:
        guarded = guarded.where(studies.c.lease_token == token)
    if connection.execute(guarded).rowcount == 0:
        state = state_for_update(connection, study_id)
        if token is not None and state in SOURCES[to]:
            raise lease_lost(study_id)
        raise WrongStateError(f"study {study_id} is {state}; it cannot become {to}")
    record_event(connection, study_id, to, reason, now)


def state_for_update(connection: Connection, study_id: str) -> State:
    """Return a study's state, and lock its row until the transaction ends.

    Raises:
        UnknownStudyError: No such study.
    """
    query = select(studies.c.state).where(studies.c.id == study_id).with_for_update()
    state = connection.execute(query).scalar_one_or_none()
    if state is None:
        raise unknown_study(study_id)
    return State(state)


def record_event(connection: Connection, study_id: str, to: State, message: str, now: datetime) -> None:
    """Write the event of a state change, and queue its webhook messages."""
    connection.execute(insert(events).values(study=study_id, at=now, kind=to.value, message=message))
    enqueue_deliveries(connection, study_id, to, message, now)


def has_state(states: tuple[State, ...]) -> ColumnElement[bool]:
    """Return the SQL condition that a study is in one of some states."""
    return studies.c.state.in_([state.value for state in states])


def lease_lost(study_id: str) -> StoppedError:
    """Return the error for a driver that lost its lease."""
    return StoppedError(f"study {study_id} was stopped, or another driver holds it: nothing more may be written")


def wrong_state(study_id: str, state: State, action: str, remedy: str) -> WrongStateError:
    """Return the error for an action that a study's state does not allow.

    Args:
        study_id: The study.
        state: Its state.
        action: The refused action as a participle: `resumed`.
        remedy: What is allowed, or what to do.
    """
    return WrongStateError(f"study {study_id} is {state}; it cannot be {action}: {remedy}")


def unknown_study(study_id: str) -> UnknownStudyError:
    """Return the error for an unknown study id."""
    return UnknownStudyError(f"no study has the id {quote_value(study_id)}; `GET /studies` lists those there are")
