"""Moves of studies from state to state: guarded writes in the caller's transaction, each with its event."""

import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from service.deliveries import announce
from service.entities import Claim
from service.errors import UnknownStudyError, WrongStateError
from service.states import ENDED, HELD, SOURCES, State
from service.tables import events, studies
from studies.errors import StoppedError

#: A study that was taken up so often with no pack trained in between, and whose driver dies again, has failed.
FRUITLESS = 3
#: One that was taken up so often has too, though its drivers were not seen to die: their runners did.
MOST_FRUITLESS = 5

_ID = re.compile(r"[0-9a-f]{20}")


def new_id(now: datetime) -> str:
    """Return an id that sorts by its time: as in UUID version 7, microseconds first (14 digits), then 24 random bits.

    Args:
        now: The present time.
    """
    return f"{int(now.timestamp() * 1e6):014x}{secrets.token_hex(3)}"


def is_id(text: str) -> bool:
    """Say whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None


def move(connection: Connection, study_id: str, to: State, reason: str, *, token: str | None, now: datetime) -> None:
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
    guarded = update(studies).where(studies.c.id == study_id, is_in(SOURCES[to])).values(state=to.value, reason=reason)
    if to not in HELD:
        guarded = guarded.values(lease_token=None, lease_expires_at=None)
    guarded = guarded.values(ended_at=now if to in ENDED else None)
    if token is not None:
        guarded = guarded.where(studies.c.lease_token == token)
    if connection.execute(guarded).rowcount == 0:
        state = state_for_update(connection, study_id)
        if token is not None and state in SOURCES[to]:
            raise lost(study_id)
        raise WrongStateError(f"study {study_id} is {state}; it cannot become {to}")
    note(connection, study_id, to, reason, now)


def claim_oldest(connection: Connection, now: datetime, lease_seconds: float) -> Claim | None:
    """Take the oldest study that is queued, or running with a lease that ran out.

    Args:
        connection: In a transaction that writes.
        now: The present time.
        lease_seconds: How long the claim holds without a heartbeat.

    Returns:
        The claim, None where nothing waits or another runner was faster.
    """
    waits = or_(
        studies.c.state == State.QUEUED.value,
        and_(studies.c.state == State.RUNNING.value, studies.c.lease_expires_at < now),
    )
    oldest = select(studies.c.id, studies.c.attempt, studies.c.fruitless).where(waits).order_by(studies.c.id).limit(1)
    # two runners at once get two studies
    oldest = oldest.with_for_update(skip_locked=True)
    found = connection.execute(oldest).one_or_none()
    if found is None:
        return None
    claim = Claim(study_id=found.id, token=secrets.token_hex(16), attempt=found.attempt + 1)
    taken = connection.execute(
        update(studies)
        .where(studies.c.id == claim.study_id, studies.c.attempt == found.attempt, waits)
        .values(
            state=State.RUNNING.value,
            reason="",
            lease_token=claim.token,
            lease_expires_at=now + timedelta(seconds=lease_seconds),
            attempt=claim.attempt,
            fruitless=studies.c.fruitless + 1,
            started_at=func.coalesce(studies.c.started_at, now),
        )
    )
    if taken.rowcount == 0:
        return None
    note(connection, claim.study_id, State.RUNNING, f"attempt {claim.attempt}", now)
    if found.fruitless > MOST_FRUITLESS:
        reason = f"taken up {found.fruitless} times in a row with no pack trained: its drivers and runners died"
        move(connection, claim.study_id, State.FAILED, reason, token=claim.token, now=now)
        return None
    return claim


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
        .where(studies.c.id == study_id, studies.c.lease_token == token, is_in(HELD))
        .values(lease_expires_at=now + timedelta(seconds=lease_seconds))
    )
    if renewed.rowcount == 0:
        raise lost(study_id)
    return state_for_update(connection, study_id)


def let_go(connection: Connection, study_id: str, token: str, reason: str, now: datetime) -> State:
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
    found = connection.execute(select(studies.c.state, studies.c.fruitless).where(*own).with_for_update()).one_or_none()
    if found is None:
        raise lost(study_id)
    if found.state == State.CANCELLING:
        move(connection, study_id, State.CANCELLED, "cancelled by request", token=token, now=now)
        return State.CANCELLED
    if not reason:
        connection.execute(update(studies).where(*own).values(fruitless=max(0, found.fruitless - 1)))
    if found.state == State.PAUSED:
        connection.execute(update(studies).where(*own).values(lease_token=None, lease_expires_at=None))
        return State.PAUSED
    if reason and found.fruitless >= FRUITLESS:
        move(connection, study_id, State.FAILED, f"{found.fruitless} times in a row: {reason}", token=token, now=now)
        return State.FAILED
    move(connection, study_id, State.QUEUED, reason, token=token, now=now)
    return State.QUEUED


def is_held(connection: Connection, study_id: str, now: datetime) -> bool:
    """Say whether a driver holds a study: it has a claim, and renews it."""
    query = select(studies.c.lease_expires_at).where(studies.c.id == study_id)
    expires_at = connection.execute(query).scalar_one()
    return expires_at is not None and expires_at >= now


def state_for_update(connection: Connection, study_id: str) -> State:
    """Return a study's state and keep others from changing it until the transaction ends.

    Raises:
        UnknownStudyError: There is no such study.
    """
    query = select(studies.c.state).where(studies.c.id == study_id).with_for_update()
    state = connection.execute(query).scalar_one_or_none()
    if state is None:
        raise unknown(study_id)
    return State(state)


def note(connection: Connection, study_id: str, to: State, message: str, now: datetime) -> None:
    """Write the event of a state change, and what webhooks are to be told of it."""
    connection.execute(insert(events).values(study=study_id, at=now, kind=to.value, message=message))
    announce(connection, study_id, to, message, now)


def is_in(states: tuple[State, ...]) -> ColumnElement[bool]:
    """Return the condition that a study is in one of some states."""
    return studies.c.state.in_([state.value for state in states])


def lost(study_id: str) -> StoppedError:
    """Return the error for a driver that holds its study no longer."""
    return StoppedError(f"study {study_id} was stopped, or another driver holds it: nothing more may be written")


def refused(study_id: str, state: State, asked: str, remedy: str) -> WrongStateError:
    """Return the error for what a study's state does not allow.

    Args:
        study_id: The study.
        state: Where it is.
        asked: What it cannot be, as in `resumed`.
        remedy: Which one can, or what to do.
    """
    return WrongStateError(f"study {study_id} is {state}; it cannot be {asked}: {remedy}")


def unknown(study_id: str) -> UnknownStudyError:
    """Return the error for an id that no study has."""
    return UnknownStudyError(f"no study has the id {shown(study_id)}; `GET /studies` lists those there are")


def shown(text: str) -> str:
    """Return what somebody sent as a message may show it."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
