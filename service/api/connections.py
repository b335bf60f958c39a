"""Connections of the HTTP process: few may wait without a request, and at the end those still open are closed."""

import asyncio
import logging
import resource
from typing import Any, final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

#: Connections that may wait at a time; fewer where the process may open few files.
MAX_WAITING = 1000
#: More files than this are not asked for.
_MAX_FILES = 65_536
_CHECK_SECONDS = 0.5
_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


@final
class Connections:
    """The connections of one server, which anybody may open: uvicorn has no limit for those that send nothing.

    A connection waits while it has sent no complete request, or does not read its response. Where too many wait,
    those are closed that were opened first; a client that sends its request at once is not among them.

    Args:
        max_waiting: How many may wait.
    """

    def __init__(self, max_waiting: int) -> None:
        """Start without connections."""
        self._max_waiting = max_waiting
        #: In the order in which they were opened.
        self._opened: list[H11Protocol] = []
        self._check: asyncio.TimerHandle | None = None

    def open(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> H11Protocol:
        """Return the protocol of a new connection; uvicorn calls this as it would its protocol class."""
        connection = H11Protocol(config, server_state, app_state, _loop)
        self._opened.append(connection)
        if self._check is None and len(self._opened) > self._max_waiting:
            # later, as connections that were accepted together are not set up yet
            self._check = asyncio.get_running_loop().call_later(_CHECK_SECONDS, self._close_oldest, server_state)
        return connection

    def _close_oldest(self, server_state: ServerState) -> None:
        self._check = None
        self._opened = [each for each in self._opened if not _is_set_up(each) or each in server_state.connections]
        waiting = [each for each in self._opened if _is_set_up(each) and _is_waiting(each)]
        excess = len(waiting) - self._max_waiting
        if excess <= 0:
            return
        log.warning("%d connections wait without a request; the oldest %d are closed", len(waiting), excess)
        for connection in waiting[:excess]:
            connection.transport.abort()

    async def close_at_exit(self, server: uvicorn.Server, seconds: float) -> None:
        """Wait until a server is told to stop, and close what is still open some seconds later.

        For the application it is as if the client had left; uvicorn would cancel it, and log that as an error.

        Args:
            server: The server.
            seconds: How long responses may take to be completed.
        """
        while not server.should_exit:
            await asyncio.sleep(_POLL_SECONDS)
        await asyncio.sleep(seconds)
        for connection in self._opened:
            if connection in server.server_state.connections:
                connection.transport.abort()


def _is_set_up(connection: H11Protocol) -> bool:
    return connection.client is not None


def _is_waiting(connection: H11Protocol) -> bool:
    cycle: Any = connection.cycle  # None before the first request
    return cycle is None or cycle.response_complete or cycle.more_body or connection.flow.write_paused


def raise_file_limit() -> int:
    """Let this process open as many files as it may, each connection being one, and return how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return _MAX_FILES if soft == resource.RLIM_INFINITY else soft
