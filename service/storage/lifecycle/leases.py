"""Claims: who drives which study, taken in the queue's order, renewed, and given up; in the caller's transaction."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, text, update

from service.states import HELD, State
from service.storage.entities import Claim
from service.storage.lifecycle.queue import count_running_by_owner, read_queue
from service.storage.lifecycle.transitions import has_state, lease_lost, record_event, state_for_update, transition
from service.storage.tables import studies

#: A study that was taken up so often with no pack trained in between has failed, whatever it was that died.
MAX_FAILED_ATTEMPTS = 6
#: Any number, the same for all processes: who claims holds PostgreSQL's lock of it.
_LOCK = 4_104_105


def claim_next(connection: Connection, now: datetime, lease_seconds: float, max_per_owner: int | None) -> Claim | None:
    """Take the next study: one in training whose lease ran out, else the first in the queue.

    Args:
        connection: In a transaction that writes.
        now: The present time.
        lease_seconds: How long the claim holds without a heartbeat.
        max_per_owner: Studies of one owner that drivers may hold at once; None for any number.

    Returns:
        The claim, None where nothing waits.
    """
    if connection.dialect.name == "postgresql":  # one after another, else two runners could exceed an owner's limit
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    study_id = _oldest_abandoned(connection, now) or _first_in_queue(connection, now, max_per_owner)
    if study_id is None:
        return None
    found = connection.execute(
        select(studies.c.attempt, studies.c.failed_attempts).where(studies.c.id == study_id)
    ).one()
    claim = Claim(study_id=study_id, token=secrets.token_hex(16), attempt=found.attempt + 1)
    taken = connection.execute(
        update(studies)
        .where(studies.c.id == study_id, or_(studies.c.state == State.QUEUED.value, _is_abandoned(now)))
        .values(
            state=State.RUNNING.value,
            reason="",
            waiting=None,
            lease_token=claim.token,
            lease_expires_at=now + timedelta(seconds=lease_seconds),
            attempt=claim.attempt,
            failed_attempts=studies.c.failed_attempts + 1,
            started_at=func.coalesce(studies.c.started_at, now),
        )
    )
    if taken.rowcount == 0:
        return None  # it was paused, or cancelled, meanwhile
    record_event(connection, study_id, State.RUNNING, f"attempt {claim.attempt}", now)
    if found.failed_attempts >= MAX_FAILED_ATTEMPTS:
        reason = f"taken up {found.failed_attempts} times in a row with no pack trained: its drivers and runners died"
        transition(connection, study_id, State.FAILED, reason, token=claim.token, now=now)
        return None
    return claim


def _is_abandoned(now: datetime) -> ColumnElement[bool]:
    return and_(studies.c.state == State.RUNNING.value, studies.c.lease_expires_at < now)


def _oldest_abandoned(connection: Connection, now: datetime) -> str | None:
    """Return the oldest study in training that no driver holds."""
    oldest = select(studies.c.id).where(_is_abandoned(now)).order_by(studies.c.id).limit(1)
    return connection.execute(oldest).scalar_one_or_none()


def _first_in_queue(connection: Connection, now: datetime, max_per_owner: int | None) -> str | None:
    """Return the first study in the queue whose owner may have one more."""
    held = {} if max_per_owner is None else count_running_by_owner(connection, now)
    admitted = (
        study.id
        for study in read_queue(connection, now)
        if max_per_owner is None or held.get(study.owner, 0) < max_per_owner
    )
    return next(admitted, None)


def renew(connection: Connection, study_id: str, token: str, now: datetime, lease_seconds: float) -> State:
    """Renew a lease, and return RUNNING, PAUSED or CANCELLING.

    Args:
        connection: In a transaction that writes.
        study_id: The study.
        token: Of the claim.
        now: The present time.
        lease_seconds: How long it holds from now.

    Raises:
        StoppedError: The token holds the study no longer.
    """
    renewed = connection.execute(
        update(studies)
        .where(studies.c.id == study_id, studies.c.lease_token == token, has_state(HELD))
        .values(lease_expires_at=now + timedelta(seconds=lease_seconds))
    )
    if renewed.rowcount == 0:
        raise lease_lost(study_id)
    return state_for_update(connection, study_id)


def release(connection: Connection, study_id: str, token: str, reason: str, now: datetime) -> State:
    """Give up a claim, wherever the study is by now: one that was asked to stop has done so, a paused one stays paused.

    Args:
        connection: In a transaction that writes.
        study_id: The study.
        token: Of the claim.
        reason: Of what its driver died; empty where it did not, and the study was taken up in vain for once.
        now: The present time.

    Returns:
        CANCELLED, PAUSED, QUEUED, or FAILED where its drivers died too often with no pack trained in between.

    Raises:
        StoppedError: The token holds the study no longer.
    """
    own = (studies.c.id == study_id, studies.c.lease_token == token)
    found = connection.execute(
        select(studies.c.state, studies.c.failed_attempts).where(*own).with_for_update()
    ).one_or_none()
    if found is None:
        raise lease_lost(study_id)
    if found.state == State.CANCELLING:
        transition(connection, study_id, State.CANCELLED, "cancelled by request", token=token, now=now)
        return State.CANCELLED
    if not reason:
        connection.execute(update(studies).where(*own).values(failed_attempts=max(0, found.failed_attempts - 1)))
    if found.state == State.PAUSED:
        connection.execute(update(studies).where(*own).values(lease_token=None, lease_expires_at=None))
        return State.PAUSED
    if reason and found.failed_attempts >= MAX_FAILED_ATTEMPTS:
        transition(
            connection,
            study_id,
            State.FAILED,
            f"{found.failed_attempts} times in a row: {reason}",
            token=token,
            now=now,
        )
        return State.FAILED
    transition(connection, study_id, State.QUEUED, reason, token=token, now=now)
    return State.QUEUED


def is_held(connection: Connection, study_id: str, now: datetime) -> bool:
    """Say whether a driver holds a study: it has a claim, and renews it."""
    query = select(studies.c.lease_expires_at).where(studies.c.id == study_id)
    expires_at = connection.execute(query).scalar_one()
    return expires_at is not None and expires_at >= now
