"""Claims of studies by runners: claiming in queue order, renewing and releasing leases."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, text, update

from service.states import HELD, State
from service.storage.entities import Claim
from service.storage.lifecycle.queue import count_running_by_owner, read_queue
from service.storage.lifecycle.transitions import has_state, lease_lost, record_event, state_for_update, transition
from service.storage.tables import studies

#: Claims in a row without a trained pack after which a study has failed.
MAX_FAILED_ATTEMPTS = 6
#: Id of PostgreSQL's advisory lock that serializes claims.
_LOCK = 4_104_105


def claim_next(connection: Connection, now: datetime, lease_seconds: float, max_per_owner: int | None) -> Claim | None:
    """Claim the next study: one whose lease expired, else the first in the queue.

    Args:
        connection: In a write transaction.
        now: The present time.
        lease_seconds: How long the claim is valid without a renewal.
        max_per_owner: Limit of running studies of one owner; None for no limit.

    Returns:
        The claim, None if nothing can be claimed.
    """
    if connection.dialect.name == "postgresql":  # else two runners together could exceed an owner's limit
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    study_id = _oldest_abandoned(connection, now) or _first_in_queue(connection, now, max_per_owner)
    if study_id is None:
        return None
    counters = connection.execute(
        select(studies.c.attempt, studies.c.failed_attempts).where(studies.c.id == study_id)
    ).one()
    claim = Claim(study_id=study_id, token=secrets.token_hex(16), attempt=counters.attempt + 1)
    updated = connection.execute(
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
    if updated.rowcount == 0:
        return None  # it was paused or cancelled in between
    record_event(connection, study_id, State.RUNNING, f"attempt {claim.attempt}", now)
    if counters.failed_attempts >= MAX_FAILED_ATTEMPTS:
        reason = (
            f"taken up {counters.failed_attempts} times in a row with no pack trained: its drivers and runners died"
        )
        transition(connection, study_id, State.FAILED, reason, token=claim.token, now=now)
        return None
    return claim


def _is_abandoned(now: datetime) -> ColumnElement[bool]:
    return and_(studies.c.state == State.RUNNING.value, studies.c.lease_expires_at < now)


def _oldest_abandoned(connection: Connection, now: datetime) -> str | None:
    """Return the oldest running study whose lease expired."""
    oldest = select(studies.c.id).where(_is_abandoned(now)).order_by(studies.c.id).limit(1)
    return connection.execute(oldest).scalar_one_or_none()


def _first_in_queue(connection: Connection, now: datetime, max_per_owner: int | None) -> str | None:
    """Return the first queued study whose owner is below the limit."""
    held = {} if max_per_owner is None else count_running_by_owner(connection, now)
    admitted = (
        study.id
        for study in read_queue(connection, now)
        if max_per_owner is None or held.get(study.owner, 0) < max_per_owner
    )
    return next(admitted, None)


def renew(connection: Connection, study_id: str, token: str, now: datetime, lease_seconds: float) -> State:
    """Renew a lease, and return the study's state: RUNNING, PAUSED or CANCELLING.

    Args:
        connection: In a write transaction.
        study_id: The study.
        token: The claim's token.
        now: The present time.
        lease_seconds: New duration, from now.

    Raises:
        StoppedError: The lease was lost.
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
    """Release a claim: a cancelling study becomes CANCELLED, a paused one stays PAUSED, others are queued.

    Args:
        connection: In a write transaction.
        study_id: The study.
        token: The claim's token.
        reason: Why its driver died; empty if it did not, and the attempt does not count as failed.
        now: The present time.

    Returns:
        CANCELLED, PAUSED, QUEUED, or FAILED after too many failed attempts.

    Raises:
        StoppedError: The lease was lost.
    """
    held_study = (studies.c.id == study_id, studies.c.lease_token == token)
    row = connection.execute(
        select(studies.c.state, studies.c.failed_attempts).where(*held_study).with_for_update()
    ).one_or_none()
    if row is None:
        raise lease_lost(study_id)
    if row.state == State.CANCELLING:
        transition(connection, study_id, State.CANCELLED, "cancelled by request", token=token, now=now)
        return State.CANCELLED
    if not reason:
        connection.execute(update(studies).where(*held_study).values(failed_attempts=max(0, row.failed_attempts - 1)))
    if row.state == State.PAUSED:
        connection.execute(update(studies).where(*held_study).values(lease_token=None, lease_expires_at=None))
        return State.PAUSED
    if reason and row.failed_attempts >= MAX_FAILED_ATTEMPTS:
        transition(
            connection,
            study_id,
            State.FAILED,
            f"{row.failed_attempts} times in a row: {reason}",
            token=token,
            now=now,
        )
        return State.FAILED
    transition(connection, study_id, State.QUEUED, reason, token=token, now=now)
    return State.QUEUED


def is_held(connection: Connection, study_id: str, now: datetime) -> bool:
    """Return whether a study has an unexpired lease."""
    query = select(studies.c.lease_expires_at).where(studies.c.id == study_id)
    expires_at = connection.execute(query).scalar_one()
    return expires_at is not None and expires_at >= now
