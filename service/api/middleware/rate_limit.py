"""How often a client may ask: a token bucket for each, in the memory of one process."""

import time
from collections.abc import Callable

_MINUTE = 60.0
_ROUNDING = 1e-6


class RateLimiter:
    """Token buckets: each holds the tokens of one minute, and fills evenly.

    A bucket is kept as the moment at which it will be full again; full ones are forgotten.

    Args:
        per_minute: Tokens a minute; 0 for no limit.
        clock: Seconds from any start, never back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with every bucket full."""
        self._interval = _MINUTE / per_minute if per_minute else 0.0
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._swept_at = clock()

    @property
    def tracked_clients(self) -> int:
        """How many clients are remembered."""
        return len(self._full_at)

    def acquire(self, client: str) -> float:
        """Take a token of a client's.

        Args:
            client: Any name.

        Returns:
            0, or the seconds until there is a token, where none was taken.
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
