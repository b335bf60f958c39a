"""The stored webhooks: registration, listing and removal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from service.errors import UnknownWebhookError, quote_value
from service.states import State
from service.storage.entities import Webhook, is_valid_id, new_id
from service.storage.repositories.studies import Store
from service.storage.tables import deliveries, webhooks
from service.webhooks.signing import new_secret

_PENDING_DELIVERIES = (
    select(func.count())
    .select_from(deliveries)
    .where(deliveries.c.webhook == webhooks.c.id)
    .scalar_subquery()
    .label("waiting")
)


class Webhooks:
    """The webhooks of one database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Read and write nothing yet."""
        self._store = store

    def add(self, url: str, states: Sequence[State], now: datetime) -> Webhook:
        """Register a webhook for state changes from now on.

        Args:
            url: The URL that messages are posted to.
            states: The new states to send messages for; all if empty.
            now: The present time.
        """
        webhook_id = new_id(now)
        state_names = " ".join(state for state in State if state in states)
        with self._store.writing() as connection:
            connection.execute(
                insert(webhooks).values(
                    id=webhook_id,
                    url=url,
                    states=state_names,
                    secret=new_secret(),
                    created_at=now,
                    tries=0,
                    trouble="",
                    dropped=0,
                )
            )
            return read_webhook(connection, webhook_id)

    def list_webhooks(self) -> tuple[Webhook, ...]:
        """Return the webhooks, oldest first."""
        with self._store.reading() as connection:
            return tuple(
                _webhook_from_row(row)
                for row in connection.execute(select(webhooks, _PENDING_DELIVERIES).order_by(webhooks.c.id))
            )

    def get(self, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises:
            UnknownWebhookError: No such webhook.
        """
        with self._store.reading() as connection:
            return read_webhook(connection, webhook_id)

    def remove(self, webhook_id: str) -> None:
        """Remove a webhook and its pending deliveries.

        Raises:
            UnknownWebhookError: No such webhook.
        """
        if not is_valid_id(webhook_id):
            raise unknown_webhook(webhook_id)
        with self._store.writing() as connection:
            if connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id)).rowcount == 0:
                raise unknown_webhook(webhook_id)
            connection.execute(delete(deliveries).where(deliveries.c.webhook == webhook_id))


def read_webhook(connection: Connection, webhook_id: str) -> Webhook:
    """Return a webhook.

    Raises:
        UnknownWebhookError: No such webhook.
    """
    if not is_valid_id(webhook_id):
        raise unknown_webhook(webhook_id)
    row = connection.execute(select(webhooks, _PENDING_DELIVERIES).where(webhooks.c.id == webhook_id)).one_or_none()
    if row is None:
        raise unknown_webhook(webhook_id)
    return _webhook_from_row(row)


def unknown_webhook(webhook_id: str) -> UnknownWebhookError:
    """Return the error for an unknown webhook id."""
    return UnknownWebhookError(
        f"no webhook has the id {quote_value(webhook_id)}; `GET /webhooks` lists those there are"
    )


def _webhook_from_row(row: Row[*tuple[Any, ...]]) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        states=tuple(State(name) for name in row.states.split()),
        secret=row.secret,
        created_at=row.created_at,
        pending_deliveries=row.waiting,
        failing_since=row.failing_since,
        last_error=row.trouble,
        dropped_deliveries=row.dropped,
    )
