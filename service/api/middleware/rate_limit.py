"""Rate limits: one token bucket per client, in the memory of one process."""

import time
from collections.abc import Callable

_MINUTE = 60.0
_ROUNDING = 1e-6


class RateLimiter:
    """Token buckets; each holds the tokens of one minute and refills evenly.

    A bucket is stored as the time at which it will be full again; full buckets are dropped.

    Args:
        per_minute: Tokens per minute; 0 for no limit.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with every bucket full."""
        self._interval = _MINUTE / per_minute if per_minute else 0.0
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._swept_at = clock()

    @property
    def tracked_clients(self) -> int:
        """Number of clients whose bucket is not full."""
        return len(self._full_at)

    def acquire(self, client: str) -> float:
        """Take a token from a client's bucket.

        Args:
            client: Any string that identifies the client.

        Returns:
            0 if a token was taken, else the seconds until one is available.
        """
        now = self._clock()
        if now - self._swept_at > _MINUTE:
            self._swept_at = now
            self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        full_at = max(self._full_at.get(client, now), now) + self._interval
        if full_at - now > _MINUTE + _ROUNDING:
            return full_at - now - _MINUTE
        if self._interval:
            self._full_at[client] = full_at
        return 0.0
