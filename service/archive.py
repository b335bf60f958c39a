"""Putting ended studies away: out of the lists, and back into them."""

from datetime import datetime

from sqlalchemy import Connection, update

from service.states import ENDED, State
from service.tables import studies
from service.transitions import refused, state_for_update


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
    state = _ended(connection, study_id, "archived")
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
    state = _ended(connection, study_id, "unarchived")
    connection.execute(update(studies).where(studies.c.id == study_id).values(archived_at=None))
    return state


def _ended(connection: Connection, study_id: str, asked: str) -> State:
    state = state_for_update(connection, study_id)
    if state not in ENDED:
        raise refused(study_id, state, asked, "only one that has ended can; cancel it first")
    return state
