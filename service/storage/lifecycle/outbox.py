"""The outbox of webhook messages: written in the transaction that changes a study's state, read by the dispatcher.

A cursor over the events would miss some: PostgreSQL's sequence order is not its commit order.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update

from service.states import State
from service.storage.tables import deliveries, webhooks

#: Wait after the first failure; it doubles with every further one up to the maximum.
INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 5.0, 3600.0
#: Older messages are dropped when their delivery fails.
MAX_DELIVERY_AGE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A message that waits for delivery to a webhook.

    Args:
        id: Later ones are larger.
        webhook_id: Its webhook.
        message_id: Its id for the receiver, the same at every attempt.
        content: The body.
        created_at: When the state changed (UTC).
    """

    id: int
    webhook_id: str
    message_id: str
    content: bytes
    created_at: datetime


def enqueue_deliveries(connection: Connection, study_id: str, to: State, reason: str, now: datetime) -> None:
    """Queue a message about a study's new state for every webhook that subscribed to it.

    Args:
        connection: In the transaction that changes the state.
        study_id: The study.
        to: The new state.
        reason: Why.
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
    """Return the body of a message, in the format of Standard Webhooks.

    Args:
        event_type: What happened, as in `study.succeeded`.
        at: When.
        data: The payload.
    """
    return json.dumps({"type": event_type, "timestamp": at.isoformat(), "data": data}).encode()


def new_message_id() -> str:
    """Return a new message id; it has no dot, which separates the parts that are signed."""
    return f"msg_{secrets.token_hex(12)}"


def lease_due_webhooks(connection: Connection, now: datetime, lease_seconds: float, limit: int) -> tuple[str, ...]:
    """Lease webhooks with due deliveries to this process, and return their ids.

    Args:
        connection: In a write transaction.
        now: The present time.
        lease_seconds: Duration of the lease.
        limit: Most webhooks to lease.
    """
    due = (
        webhooks.c.id.in_(select(deliveries.c.webhook)),
        or_(webhooks.c.retry_at.is_(None), webhooks.c.retry_at <= now),
        or_(webhooks.c.taken_until.is_(None), webhooks.c.taken_until <= now),
    )
    due_ids = select(webhooks.c.id).where(*due).order_by(webhooks.c.retry_at.nulls_first(), webhooks.c.id).limit(limit)
    # a concurrent process waits here for the row locks, and then finds the webhooks not due
    leased = update(webhooks).where(webhooks.c.id.in_(due_ids), *due)
    leased = leased.values(taken_until=now + timedelta(seconds=lease_seconds))
    return tuple(connection.execute(leased.returning(webhooks.c.id)).scalars())


def has_deliveries(connection: Connection) -> bool:
    """Return whether any delivery is pending; takes no write lock."""
    return connection.execute(select(deliveries.c.id).limit(1)).first() is not None


def next_delivery(connection: Connection, webhook_id: str, now: datetime, lease_seconds: float) -> Delivery | None:
    """Return a leased webhook's next delivery, None if there is none, and renew the lease.

    Args:
        connection: In a write transaction.
        webhook_id: A leased webhook.
        now: The present time.
        lease_seconds: New duration of the lease.
    """
    this_webhook = webhooks.c.id == webhook_id
    connection.execute(update(webhooks).where(this_webhook).values(taken_until=now + timedelta(seconds=lease_seconds)))
    query = select(deliveries).where(deliveries.c.webhook == webhook_id).order_by(deliveries.c.id).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Delivery(id=row.id, webhook_id=row.webhook, message_id=row.message, content=row.content, created_at=row.at)


def mark_delivered(connection: Connection, delivery: Delivery) -> None:
    """Record a successful delivery.

    Args:
        connection: In a write transaction.
        delivery: The delivered message.
    """
    connection.execute(delete(deliveries).where(deliveries.c.id == delivery.id))
    connection.execute(
        update(webhooks)
        .where(webhooks.c.id == delivery.webhook_id)
        .values(tries=0, retry_at=None, failing_since=None, trouble="")
    )


def mark_failed(connection: Connection, delivery: Delivery, error: str, now: datetime) -> bool:
    """Record a failed delivery: it is retried with backoff, or dropped if it is too old.

    Args:
        connection: In a write transaction.
        delivery: The message.
        error: Why it failed.
        now: The present time.

    Returns:
        Whether it was dropped.
    """
    this_webhook = webhooks.c.id == delivery.webhook_id
    row = connection.execute(select(webhooks.c.tries, webhooks.c.failing_since).where(this_webhook)).one_or_none()
    if row is None:  # the webhook was removed in between
        return False
    with_error = update(webhooks).where(this_webhook).values(failing_since=row.failing_since or now, trouble=error)
    if now - delivery.created_at >= MAX_DELIVERY_AGE:
        connection.execute(delete(deliveries).where(deliveries.c.id == delivery.id))
        # no further wait: the next message, perhaps too old as well, is tried at once, and once
        connection.execute(with_error.values(dropped=webhooks.c.dropped + 1))
        return True
    wait = min(MAX_BACKOFF_SECONDS, INITIAL_BACKOFF_SECONDS * 2 ** min(row.tries, 20))
    connection.execute(with_error.values(tries=row.tries + 1, retry_at=now + timedelta(seconds=wait)))
    return False


def release_webhook(connection: Connection, webhook_id: str) -> None:
    """Release the lease of a webhook."""
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(taken_until=None))
