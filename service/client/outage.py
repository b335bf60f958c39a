"""Waits out an outage of a service that answered before, such as its restart during an upgrade."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar, final

from httpx_sse import ServerSentEvent

from service.client.connection import Connection, RequestRefusedError
from service.errors import UnreachableError

#: Statuses of a service, or of its proxy, that may answer soon; 429 while a stream that was cut off still counts.
_TEMPORARY_STATUSES = frozenset({429, 502, 503, 504})
_FIRST_DELAY_SECONDS, _MAX_DELAY_SECONDS = 0.5, 5.0

log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


@final
class Outage:
    """Waits while a service does not answer; logs when that begins and ends.

    Args:
        connection: The connection to the service.
        patience: Seconds after which an outage is an error.
    """

    def __init__(self, connection: Connection, patience: float) -> None:
        """Begin without an outage."""
        self._connection, self._patience = connection, patience
        self._since: float | None = None
        self._delay = _FIRST_DELAY_SECONDS

    def wait(self, error: UnreachableError | RequestRefusedError) -> None:
        """Wait until the next attempt.

        Args:
            error: Why the last attempt failed.

        Raises:
            RequestRefusedError: Another attempt would be refused too, or the outage takes too long.
            UnreachableError: The service has never answered, or the outage takes too long.
        """
        refused = isinstance(error, RequestRefusedError) and error.problem.status not in _TEMPORARY_STATUSES
        if refused or not self._connection.answered or self._patience <= 0:
            raise error
        now, minutes = time.monotonic(), f"{self._patience / 60:g} min"
        if self._since is None:
            self._since, self._delay = now, _FIRST_DELAY_SECONDS
            log.warning("%s. Trying again for up to %s; Ctrl-C stops this command, and no study.", error, minutes)
        remaining = self._since + self._patience - now
        if remaining <= 0:
            raise UnreachableError(f"given up after {minutes}: {error}") from error
        asked = error.retry_seconds if isinstance(error, RequestRefusedError) else 0.0
        time.sleep(min(max(self._delay, asked), remaining))
        self._delay = min(2 * self._delay, _MAX_DELAY_SECONDS)

    def end(self) -> None:
        """Log the end of the outage, if there is one."""
        if self._since is not None:
            log.warning("The service at %s answers again.", self._connection.url)
            self._since = None


def retry(request: Callable[[], _Answer], outage: Outage) -> _Answer:
    """Return the answer to a request, after an outage if there is one.

    Args:
        request: Sends it; safe to repeat.
        outage: How long to wait.
    """
    while True:
        try:
            answer = request()
        except (UnreachableError, RequestRefusedError) as error:
            outage.wait(error)
        else:
            outage.end()
            return answer


def follow_events(
    connection: Connection, path: str, params: dict[str, str], outage: Outage
) -> Iterator[ServerSentEvent]:
    """Yield the events of a stream without end, taken up after the last one whenever it breaks off.

    Args:
        connection: The connection to the service.
        path: The path, quoted.
        params: The query parameters.
        outage: How long to wait.
    """
    last_id = ""
    while True:
        try:
            for event in connection.stream_events(path, params, last_id):
                outage.end()
                last_id = event.id
                yield event
        except (UnreachableError, RequestRefusedError) as error:
            outage.wait(error)
        else:
            outage.wait(UnreachableError(f"the service at {connection.url} ended a stream of events early"))
