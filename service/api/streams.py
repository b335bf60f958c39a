"""Streams of events and logs, which stay open for as long as a study takes: limited for each key."""

from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Annotated, cast, final

from fastapi import Depends, Query, Request

from service.api.authorization import CallerDep
from service.errors import TooManyRequestsError

#: Streams that are open at a time with one key or, without keys, from one address.
MAX_STREAMS = 100
_RETRY_SECONDS = 10.0

Follow = Annotated[bool, Query(description="Stream new lines until the study has ended.")]


@final
class OpenStreams:
    """The streams of one process that are open."""

    def __init__(self) -> None:
        """Start without any."""
        self._counts: Counter[str] = Counter()

    @contextmanager
    def hold(self, client: str) -> Generator[None]:
        """Count a stream while it is open.

        Args:
            client: Any string that identifies the client.

        Raises:
            TooManyRequestsError: The client has too many.
        """
        if self._counts[client] >= MAX_STREAMS:
            raise TooManyRequestsError(
                f"{MAX_STREAMS} streams of events and logs are open with this key or from this address; "
                "close some of them, or ask for the state of studies instead",
                _RETRY_SECONDS,
            )
        self._counts[client] += 1
        try:
            yield
        finally:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]


async def count_stream(request: Request, caller: CallerDep) -> AsyncIterator[None]:
    """Count a request as an open stream until its response has been sent.

    Raises:
        TooManyRequestsError: The caller has too many.
    """
    address = "" if request.client is None else request.client.host
    with cast(OpenStreams, request.app.state.open_streams).hold(caller.key_id or address):
        yield


async def count_followed(request: Request, caller: CallerDep, follow: Follow = False) -> AsyncIterator[None]:
    """Count a request as an open stream if it follows a log.

    Raises:
        TooManyRequestsError: The caller has too many.
    """
    if not follow:
        yield
        return
    async for _ in count_stream(request, caller):
        yield


#: Of a route that streams.
STREAM = Depends(count_stream)
#: Of a route that streams with `follow`.
FOLLOWED = Depends(count_followed)
