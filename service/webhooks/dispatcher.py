"""The webhook dispatcher: a thread of the HTTP process that delivers the messages of the outbox."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar, final

from sqlalchemy import Connection

from service.errors import UnknownWebhookError
from service.storage.lifecycle import outbox
from service.storage.lifecycle.outbox import Delivery
from service.storage.repositories.studies import Store
from service.webhooks.http_client import TIMEOUT_SECONDS, DeliveryResult, WebhookClient
from service.webhooks.signing import signature_headers
from service.webhooks.subscriptions import read_webhook

log = logging.getLogger(__name__)
Result = TypeVar("Result")

_POLL_SECONDS = 1.0
#: Time after which another dispatcher takes over the webhooks of one that died.
_LEASE_SECONDS = 3 * TIMEOUT_SECONDS
#: Maximum number of webhooks with deliveries in flight.
_MAX_CONCURRENT = 50


@final
class WebhookDispatcher:
    """Delivers messages to webhooks: to each in order, to all of them concurrently.

    Any number of dispatchers may share a database: each leases the webhooks that it delivers to.

    Args:
        store: The database.
        outbound: The HTTP client.
    """

    def __init__(self, store: Store, outbound: WebhookClient) -> None:
        """Create the thread, without starting it."""
        self._store, self._outbound = store, outbound
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="webhook dispatcher", daemon=True)

    def start(self) -> None:
        """Start the dispatcher's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; deliveries in flight are cancelled, and sent again by the next dispatcher."""
        self._stopping.set()
        self._thread.join()

    async def _run(self) -> None:
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            while not self._stopping.is_set():
                try:
                    for webhook_id in await asyncio.to_thread(self._lease_webhooks, _MAX_CONCURRENT - len(tasks)):
                        tasks[webhook_id] = asyncio.create_task(self._deliver_all(webhook_id))
                except Exception:
                    log.exception("webhooks are not told anything now; tried again")
                await asyncio.sleep(_POLL_SECONDS)
                tasks = {webhook_id: task for webhook_id, task in tasks.items() if not task.done()}
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _lease_webhooks(self, limit: int) -> tuple[str, ...]:
        with self._store.reading() as connection:
            if not outbox.has_deliveries(connection):
                return ()
        return self._write(
            lambda connection: outbox.lease_due_webhooks(connection, datetime.now(UTC), _LEASE_SECONDS, limit)
        )

    async def _deliver_all(self, webhook_id: str) -> None:
        """Deliver a webhook's pending messages until none is left or one fails."""
        try:
            while (pending := await asyncio.to_thread(self._next_delivery, webhook_id)) is not None:
                delivery, url, secret = pending
                headers = signature_headers(secret, delivery.message_id, delivery.content, datetime.now(UTC))
                result = await self._post(url, delivery.content, headers)
                if not await asyncio.to_thread(self._record_result, delivery, result):
                    return
        except Exception:
            log.exception("webhook %s is not told anything now; tried again", webhook_id, extra={"webhook": webhook_id})
        finally:
            await asyncio.shield(asyncio.to_thread(self._release, webhook_id))

    async def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> DeliveryResult:
        try:
            return await self._outbound.post(url, content, headers)
        except Exception:
            log.exception("a fault of the service kept it from sending to a webhook")
            return DeliveryResult(status=None, detail="a fault of the service, whose log has more")

    def _next_delivery(self, webhook_id: str) -> tuple[Delivery, str, str] | None:
        """Return a webhook's next delivery, its URL and its secret."""

        def read(connection: Connection) -> tuple[Delivery, str, str] | None:
            try:
                webhook = read_webhook(connection, webhook_id)
            except UnknownWebhookError:  # it was removed meanwhile
                return None
            delivery = outbox.next_delivery(connection, webhook_id, datetime.now(UTC), _LEASE_SECONDS)
            return None if delivery is None else (delivery, webhook.url, webhook.secret)

        return self._write(read)

    def _record_result(self, delivery: Delivery, result: DeliveryResult) -> bool:
        """Record a result, and return whether to send the next message at once."""
        if result.accepted:
            self._write(lambda connection: outbox.mark_delivered(connection, delivery))
            return True
        now = datetime.now(UTC)
        dropped = self._write(lambda connection: outbox.mark_failed(connection, delivery, result.detail, now))
        log.log(
            logging.ERROR if dropped else logging.WARNING,
            "webhook %s, %s: %s; %s",
            delivery.webhook_id,
            delivery.message_id,
            result.detail,
            "dropped, it is too old" if dropped else "it is sent again",
            extra={"webhook": delivery.webhook_id},
        )
        return dropped

    def _release(self, webhook_id: str) -> None:
        self._write(lambda connection: outbox.release_webhook(connection, webhook_id))

    def _write(self, change: Callable[[Connection], Result]) -> Result:
        with self._store.writing() as connection:
            return change(connection)
