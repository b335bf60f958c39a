"""Limits on what one client has open at a time, and the threads of what takes the processor long."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import ParamSpec, TypeVar, final
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from service.errors import TooManyRequestsError

#: Computations at a time; as Python runs one thread at a time, more would only take from other requests.
MAX_CONCURRENT = 2
#: Of one client, running or waiting: each takes up to a second.
MAX_COMPUTATIONS = 50
#: Of one client, open at a time.
MAX_STREAMS = 100

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@final
class ClientLimit:
    """Counts what each client has open.

    Args:
        limit: How much one client may have open at a time.
        message: Says what it has too much of, and what to do, where it asks for more.
        retry_seconds: When it may ask again.
    """

    def __init__(self, limit: int, message: str, retry_seconds: float) -> None:
        """Start without anything open."""
        self._limit, self._message, self._retry_seconds = limit, message, retry_seconds
        self._counts: Counter[str] = Counter()

    @contextmanager
    def hold(self, client: str) -> Generator[None]:
        """Count one more while it is open.

        Args:
            client: Any string that identifies the client.

        Raises:
            TooManyRequestsError: The client has too much open.
        """
        if self._counts[client] >= self._limit:
            raise TooManyRequestsError(self._message, self._retry_seconds)
        self._counts[client] += 1
        try:
            yield
        finally:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]


def limit_streams() -> ClientLimit:
    """Return the limit on streams of events and logs, which stay open for as long as a study takes."""
    return ClientLimit(
        MAX_STREAMS,
        f"{MAX_STREAMS} streams of events and logs are open with this key or from this address; "
        "close some of them, or ask for the state of studies instead",
        10.0,
    )


@final
class Computations:
    """The computations of one application, in few threads of their own, one of each client at a time.

    Others wait without a thread. A client's own wait for each other, and so another waits for at most one of them.
    """

    def __init__(self) -> None:
        """Start without computations."""
        self._of_clients = ClientLimit(
            MAX_COMPUTATIONS,
            f"{MAX_COMPUTATIONS} studies of this key or from this address are being checked or planned; "
            "send the next when one of them is answered",
            1.0,
        )
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()  # kept by those who wait

    async def run(
        self, client: str, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run a function in a thread, and return its result.

        Args:
            client: Any string that identifies the client.
            function: The function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            TooManyRequestsError: The client has too many computations.
        """
        with self._of_clients.hold(client):
            turn = self._turns.setdefault(client, anyio.Lock())
            async with turn:
                return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._threads)

    @cached_property
    def _threads(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(MAX_CONCURRENT)  # made in the event loop that it belongs to
