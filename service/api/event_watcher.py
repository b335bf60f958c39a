"""Notifies event streams of new events: one poll of the database serves all streams."""

import asyncio
from collections import defaultdict
from typing import final

from fastapi.concurrency import run_in_threadpool

from service.storage.repositories.studies import Store

_POLL_SECONDS = 0.5
#: The longest wait: a stream must check regularly whether its key was revoked.
_MAX_WAIT_SECONDS = 15.0


@final
class EventWatcher:
    """Watches the studies that a stream waits for.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Start without waiters."""
        self._store = store
        #: For each study, the waiters' futures with the id of the last event that each has seen.
        self._waiters: dict[str, dict[asyncio.Future[None], int]] = defaultdict(dict)
        self._poller: asyncio.Task[None] | None = None

    async def wait_for_event_after(self, study_id: str, event_id: int) -> None:
        """Wait until a study has a later event or is deleted, but at most some seconds.

        Args:
            study_id: The study.
            event_id: The last event that the caller has seen.

        Raises:
            OperationalError: The database does not answer.
        """
        arrived = asyncio.get_running_loop().create_future()
        self._waiters[study_id][arrived] = event_id
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            await asyncio.wait([arrived], timeout=_MAX_WAIT_SECONDS)
            if arrived.done():
                arrived.result()
        finally:
            del self._waiters[study_id][arrived]
            if not self._waiters[study_id]:
                del self._waiters[study_id]

    async def _poll(self) -> None:
        while self._waiters:
            try:
                latest = await run_in_threadpool(self._store.latest_events, tuple(self._waiters))
            except Exception as error:  # noqa: BLE001 - any error is passed on to the waiters
                for waiters in self._waiters.values():
                    for arrived in waiters:
                        if not arrived.done():
                            arrived.set_exception(error)
                return
            for study_id, waiters in self._waiters.items():
                for arrived, event_id in waiters.items():
                    # a study without events was deleted, or its waiter came after the query
                    if latest.get(study_id, event_id + 1) > event_id and not arrived.done():
                        arrived.set_result(None)
            await asyncio.sleep(_POLL_SECONDS)
