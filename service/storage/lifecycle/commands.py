"""What people ask of a study: to pause, go on, stop, or be taken up once more; each may be asked twice."""

from datetime import datetime

from sqlalchemy import Connection, delete, update

from service.states import ENDED, State
from service.storage.lifecycle.leases import is_held
from service.storage.lifecycle.transitions import state_for_update, transition, wrong_state
from service.storage.tables import recordings, studies


def pause(connection: Connection, study_id: str, now: datetime) -> State:
    """Let a study train what it is training, and nothing more until it is resumed.

    Args:
        connection: In a transaction that writes, as in all of these.
        study_id: The study.
        now: The present time.

    Returns:
        PAUSED.

    Raises:
        UnknownStudyError: There is no such study.
        WrongStateError: It has ended or is about to.
    """
    if state_for_update(connection, study_id) is not State.PAUSED:
        transition(connection, study_id, State.PAUSED, "paused by request", token=None, now=now)
    return State.PAUSED


def resume(connection: Connection, study_id: str, now: datetime) -> State:
    """Let a paused study go on: with the driver that still holds it, or with the next one.

    Returns:
        RUNNING or QUEUED; that of a study which was not paused stays as it is.

    Raises:
        UnknownStudyError: There is no such study.
        WrongStateError: It has ended or is about to.
    """
    state = state_for_update(connection, study_id)
    if state in (State.QUEUED, State.RUNNING):
        return state
    to = State.RUNNING if state is State.PAUSED and is_held(connection, study_id, now) else State.QUEUED
    if state is State.PAUSED:
        transition(connection, study_id, to, "", token=None, now=now)
        return to
    raise wrong_state(study_id, state, "resumed", "only a paused one can")


def cancel(connection: Connection, study_id: str, now: datetime) -> State:
    """Ask a study to stop; one that no driver holds is cancelled at once.

    Returns:
        CANCELLING or CANCELLED.

    Raises:
        UnknownStudyError: There is no such study.
        WrongStateError: It has ended otherwise.
    """
    state = state_for_update(connection, study_id)
    if state in (State.CANCELLING, State.CANCELLED):
        return state
    waits = state is State.QUEUED or (state is State.PAUSED and not is_held(connection, study_id, now))
    to = State.CANCELLED if waits else State.CANCELLING
    transition(connection, study_id, to, "cancelled by request", token=None, now=now)
    return to


def retry(connection: Connection, study_id: str, now: datetime) -> State:
    """Put a failed study into the queue again; it goes on from its rows.

    Returns:
        QUEUED, or what it is since it was retried before.

    Raises:
        UnknownStudyError: There is no such study.
        WrongStateError: It ended otherwise or is about to.
    """
    state = state_for_update(connection, study_id)
    if state in (State.QUEUED, State.RUNNING, State.PAUSED):
        return state
    if state is not State.FAILED:
        raise wrong_state(study_id, state, "retried", "only a failed one can; post its spec again")
    connection.execute(delete(recordings).where(recordings.c.study == study_id))
    # one that is at work again belongs into the lists
    connection.execute(update(studies).where(studies.c.id == study_id).values(failed_attempts=0, archived_at=None))
    transition(connection, study_id, State.QUEUED, "retried by request", token=None, now=now)
    return State.QUEUED


def archive(connection: Connection, study_id: str, now: datetime) -> State:
    """Leave an ended study out of the lists of those that were not archived; nothing else of it changes.

    Args:
        connection: In a transaction that writes, as in all of these.
        study_id: The study.
        now: The present time.

    Returns:
        Its state, as it was.

    Raises:
        UnknownStudyError: There is no such study.
        WrongStateError: It has not ended.
    """
    state = _require_ended(connection, study_id, "archived")
    own = (studies.c.id == study_id, studies.c.archived_at.is_(None))
    connection.execute(update(studies).where(*own).values(archived_at=now))
    return state


def unarchive(connection: Connection, study_id: str, now: datetime) -> State:
    """Bring an archived study back into the lists.

    Returns:
        Its state, as it was.

    Raises:
        UnknownStudyError: There is no such study.
        WrongStateError: It has not ended.
    """
    state = _require_ended(connection, study_id, "unarchived")
    connection.execute(update(studies).where(studies.c.id == study_id).values(archived_at=None))
    return state


def _require_ended(connection: Connection, study_id: str, action: str) -> State:
    state = state_for_update(connection, study_id)
    if state not in ENDED:
        raise wrong_state(study_id, state, action, "only one that has ended can; cancel it first")
    return state
