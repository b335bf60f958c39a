"""What webhooks are still to be told: written with each change of a study's state, in the same transaction.

A cursor over the events would not do: PostgreSQL numbers them in another order than that in which they come to be seen.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update

from service.states import State
from service.storage.tables import deliveries, webhooks

#: After the first failure the next attempt is so many seconds later, then twice as many, and so on, up to the most.
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 5.0, 3600.0
#: What could not be delivered so long after it happened is dropped.
MAX_DELIVERY_AGE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Something that a webhook is to be told.

    Args:
        id: Later ones are larger.
        webhook_id: The webhook's id.
        message_id: Its id for the receiver, the same however often it is sent.
        content: The body.
        created_at: When it happened (UTC).
    """

    id: int
    webhook_id: str
    message_id: str
    content: bytes
    created_at: datetime


def enqueue_deliveries(connection: Connection, study_id: str, to: State, reason: str, now: datetime) -> None:
    """Have every webhook that wants to know told of a study's new state.

    Args:
        connection: In the transaction that changes the state.
        study_id: The study.
        to: The new state.
        reason: Why, in plain words.
        now: The present time.
    """
    content = message_body(f"study.{to.lower()}", now, {"study": study_id, "state": to.value, "reason": reason})
    records = [
        {"webhook": webhook, "message": new_message_id(), "content": content, "at": now}
        for webhook, states in connection.execute(select(webhooks.c.id, webhooks.c.states))
        if not states or to.value in states.split()
    ]
    if records:
        connection.execute(insert(deliveries), records)


def message_body(event_type: str, at: datetime, data: dict[str, str]) -> bytes:
    """Return a message's body, as Standard Webhooks has it.

    Args:
        event_type: What happened, as in `study.succeeded`.
        at: When.
        data: What there is to say of it.
    """
    return json.dumps({"type": event_type, "timestamp": at.isoformat(), "data": data}).encode()


def new_message_id() -> str:
    """Return an id for a message; as the signature has it, without a dot."""
    return f"msg_{secrets.token_hex(12)}"


def lease_due_webhooks(connection: Connection, now: datetime, lease_seconds: float, limit: int) -> tuple[str, ...]:
    """Take the webhooks that wait for something and are due, and return their ids: nobody else has them for a while.

    Args:
        connection: In a transaction that writes.
        now: The present time.
        lease_seconds: For how long they are this process's, unless it renews that.
        limit: How many.
    """
    due = (
        webhooks.c.id.in_(select(deliveries.c.webhook)),
        or_(webhooks.c.retry_at.is_(None), webhooks.c.retry_at <= now),
        or_(webhooks.c.taken_until.is_(None), webhooks.c.taken_until <= now),
    )
    some = select(webhooks.c.id).where(*due).order_by(webhooks.c.retry_at.nulls_first(), webhooks.c.id).limit(limit)
    # whoever takes them at the same time waits here, and finds that they are not due any more
    taken = update(webhooks).where(webhooks.c.id.in_(some), *due)
    taken = taken.values(taken_until=now + timedelta(seconds=lease_seconds))
    return tuple(connection.execute(taken.returning(webhooks.c.id)).scalars())


def has_deliveries(connection: Connection) -> bool:
    """Say whether anything waits, without keeping others from writing."""
    return connection.execute(select(deliveries.c.id).limit(1)).first() is not None


def next_delivery(connection: Connection, webhook_id: str, now: datetime, lease_seconds: float) -> Delivery | None:
    """Return what a webhook is to be told next, None where that is nothing; the webhook stays this process's.

    Args:
        connection: In a transaction that writes.
        webhook_id: A webhook that was taken.
        now: The present time.
        lease_seconds: For how long it stays so.
    """
    own = webhooks.c.id == webhook_id
    connection.execute(update(webhooks).where(own).values(taken_until=now + timedelta(seconds=lease_seconds)))
    query = select(deliveries).where(deliveries.c.webhook == webhook_id).order_by(deliveries.c.id).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Delivery(id=row.id, webhook_id=row.webhook, message_id=row.message, content=row.content, created_at=row.at)


def mark_delivered(connection: Connection, delivery: Delivery) -> None:
    """Note that a receiver has something.

    Args:
        connection: In a transaction that writes, as in all of these.
        delivery: What it has.
    """
    connection.execute(delete(deliveries).where(deliveries.c.id == delivery.id))
    connection.execute(
        update(webhooks)
        .where(webhooks.c.id == delivery.webhook_id)
        .values(tries=0, retry_at=None, failing_since=None, trouble="")
    )


def mark_failed(connection: Connection, delivery: Delivery, error: str, now: datetime) -> bool:
    """Note that a receiver did not take something, which is sent again later, or dropped where it is too old.

    Args:
        connection: In a transaction that writes.
        delivery: What it did not take.
        error: Why, in words.
        now: The present time.

    Returns:
        Whether it was dropped.
    """
    own = webhooks.c.id == delivery.webhook_id
    row = connection.execute(select(webhooks.c.tries, webhooks.c.failing_since).where(own)).one_or_none()
    if row is None:  # it was removed meanwhile
        return False
    noted = update(webhooks).where(own).values(failing_since=row.failing_since or now, trouble=error)
    if now - delivery.created_at >= MAX_DELIVERY_AGE:
        connection.execute(delete(deliveries).where(deliveries.c.id == delivery.id))
        # its receiver is as dead as it was: the next one, too old as well perhaps, is tried at once, and once
        connection.execute(noted.values(dropped=webhooks.c.dropped + 1))
        return True
    wait = min(MAX_BACKOFF_SECONDS, INITIAL_BACKOFF_SECONDS * 2 ** min(row.tries, 20))
    connection.execute(noted.values(tries=row.tries + 1, retry_at=now + timedelta(seconds=wait)))
    return False


def release_webhook(connection: Connection, webhook_id: str) -> None:
    """Let others have a webhook that was taken."""
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(taken_until=None))
