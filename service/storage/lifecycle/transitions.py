"""Moves of studies from state to state: guarded writes in the caller's transaction, each with its event."""

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
    """Move a study to another state.

    Args:
        connection: In a transaction that writes.
        study_id: The study.
        to: Where to.
        reason: Why, in plain words.
        token: Of the claim; None for who needs none.
        now: The present time.

    Raises:
        UnknownStudyError: There is no such study.
        StoppedError: The token holds the study no longer.
        WrongStateError: The study's state does not lead there.
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
    """Return a study's state and keep others from changing it until the transaction ends.

    Raises:
        UnknownStudyError: There is no such study.
    """
    query = select(studies.c.state).where(studies.c.id == study_id).with_for_update()
    state = connection.execute(query).scalar_one_or_none()
    if state is None:
        raise unknown_study(study_id)
    return State(state)


def record_event(connection: Connection, study_id: str, to: State, message: str, now: datetime) -> None:
    """Write the event of a state change, and what webhooks are to be told of it."""
    connection.execute(insert(events).values(study=study_id, at=now, kind=to.value, message=message))
    enqueue_deliveries(connection, study_id, to, message, now)


def has_state(states: tuple[State, ...]) -> ColumnElement[bool]:
    """Return the condition that a study is in one of some states."""
    return studies.c.state.in_([state.value for state in states])


def lease_lost(study_id: str) -> StoppedError:
    """Return the error for a driver that holds its study no longer."""
    return StoppedError(f"study {study_id} was stopped, or another driver holds it: nothing more may be written")


def wrong_state(study_id: str, state: State, action: str, remedy: str) -> WrongStateError:
    """Return the error for what a study's state does not allow.

    Args:
        study_id: The study.
        state: Where it is.
        action: What it cannot be, as in `resumed`.
        remedy: Which one can, or what to do.
    """
    return WrongStateError(f"study {study_id} is {state}; it cannot be {action}: {remedy}")


def unknown_study(study_id: str) -> UnknownStudyError:
    """Return the error for an id that no study has."""
    return UnknownStudyError(f"no study has the id {quote_value(study_id)}; `GET /studies` lists those there are")
