"""Tells streams that something happened to their study: one look at the database for all of them."""

import asyncio
from collections import defaultdict
from typing import final

from fastapi.concurrency import run_in_threadpool

from service.storage.repositories.studies import Store

_POLL_SECONDS = 0.5
#: Nobody waits for longer: their key may have been revoked.
_MAX_WAIT_SECONDS = 15.0


@final
class EventWatcher:
    """Watches the studies that somebody waits for.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Watch nothing yet."""
        self._store = store
        self._waiting: dict[str, dict[asyncio.Future[None], int]] = defaultdict(dict)
        self._poller: asyncio.Task[None] | None = None

    async def wait_for_event_after(self, study_id: str, known: int) -> None:
        """Return when a study has an event that is later than one, or is there no longer; or after some seconds.

        Args:
            study_id: The study.
            known: The id of that one.

        Raises:
            OperationalError: The database does not answer.
        """
        arrived = asyncio.get_running_loop().create_future()
        self._waiting[study_id][arrived] = known
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            await asyncio.wait([arrived], timeout=_MAX_WAIT_SECONDS)
            if arrived.done():
                arrived.result()
        finally:
            del self._waiting[study_id][arrived]
            if not self._waiting[study_id]:
                del self._waiting[study_id]

    async def _poll(self) -> None:
        while self._waiting:
            try:
                latest = await run_in_threadpool(self._store.latest_events, tuple(self._waiting))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is of those who wait
                for arrived in [each for waiting in self._waiting.values() for each in waiting if not each.done()]:
                    arrived.set_exception(error)
                return
            for study_id, waiting in self._waiting.items():
                for arrived, known in waiting.items():
                    # one that has no events was deleted, or has just begun to be waited for
                    if latest.get(study_id, known + 1) > known and not arrived.done():
                        arrived.set_result(None)
            await asyncio.sleep(_POLL_SECONDS)
