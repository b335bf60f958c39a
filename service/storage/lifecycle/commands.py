"""Commands on studies: pause, resume, cancel, retry, archive and unarchive; all are idempotent."""

from datetime import datetime

from sqlalchemy import Connection, delete, update

from service.states import ENDED, State
from service.storage.lifecycle.leases import is_held
from service.storage.lifecycle.transitions import state_for_update, transition, wrong_state
from service.storage.tables import recordings, studies


def pause(connection: Connection, study_id: str, now: datetime) -> State:
    """Pause a study: packs in training finish, no new ones start.

    Args:
        connection: In a write transaction.
        study_id: The study.
        now: The present time.

    Returns:
        PAUSED.

    Raises:
        UnknownStudyError: No such study.
        WrongStateError: It has ended or is being cancelled.
    """
    if state_for_update(connection, study_id) is not State.PAUSED:
        transition(connection, study_id, State.PAUSED, "paused by request", token=None, now=now)
    return State.PAUSED


def resume(connection: Connection, study_id: str, now: datetime) -> State:
    """Resume a paused study, with the driver that still holds it or by queueing it.

    Returns:
        RUNNING or QUEUED; the unchanged state if the study was not paused.

    Raises:
        UnknownStudyError: No such study.
        WrongStateError: It has ended or is being cancelled.
    """
    state = state_for_update(connection, study_id)
    if state in (State.QUEUED, State.RUNNING):
        return state
    target = State.RUNNING if state is State.PAUSED and is_held(connection, study_id, now) else State.QUEUED
    if state is State.PAUSED:
        transition(connection, study_id, target, "", token=None, now=now)
        return target
    raise wrong_state(study_id, state, "resumed", "only a paused one can")


def cancel(connection: Connection, study_id: str, now: datetime) -> State:
    """Cancel a study: at once if no driver holds it, else by its driver.

    Returns:
        CANCELLING or CANCELLED.

    Raises:
        UnknownStudyError: No such study.
        WrongStateError: It has ended otherwise.
    """
    state = state_for_update(connection, study_id)
    if state in (State.CANCELLING, State.CANCELLED):
        return state
    is_idle = state is State.QUEUED or (state is State.PAUSED and not is_held(connection, study_id, now))
    target = State.CANCELLED if is_idle else State.CANCELLING
    transition(connection, study_id, target, "cancelled by request", token=None, now=now)
    return target


def retry(connection: Connection, study_id: str, now: datetime) -> State:
    """Queue a failed study again; it continues from its rows.

    Returns:
        QUEUED, or the current state if it was retried before.

    Raises:
        UnknownStudyError: No such study.
        WrongStateError: It ended otherwise or is being cancelled.
    """
    state = state_for_update(connection, study_id)
    if state in (State.QUEUED, State.RUNNING, State.PAUSED):
        return state
    if state is not State.FAILED:
        raise wrong_state(study_id, state, "retried", "only a failed one can; post its spec again")
    connection.execute(delete(recordings).where(recordings.c.study == study_id))
    # an active study belongs in the default lists
    connection.execute(update(studies).where(studies.c.id == study_id).values(failed_attempts=0, archived_at=None))
    transition(connection, study_id, State.QUEUED, "retried by request", token=None, now=now)
    return State.QUEUED


def archive(connection: Connection, study_id: str, now: datetime) -> State:
    """Hide an ended study from the default lists.

    Args:
        connection: In a write transaction.
        study_id: The study.
        now: The present time.

    Returns:
        Its state, unchanged.

    Raises:
        UnknownStudyError: No such study.
        WrongStateError: It has not ended.
    """
    state = _require_ended(connection, study_id, "archived")
    unarchived_study = (studies.c.id == study_id, studies.c.archived_at.is_(None))
    connection.execute(update(studies).where(*unarchived_study).values(archived_at=now))
    return state


def unarchive(connection: Connection, study_id: str, now: datetime) -> State:
    """Return an archived study to the default lists.

    Returns:
        Its state, unchanged.

    Raises:
        UnknownStudyError: No such study.
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
