"""A few places for what takes long, which a client is refused where all are taken."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

from service.errors import TooManyRequestsError

#: When to ask again.
_AGAIN_SECONDS = 5.0


@contextmanager
def slot(slots: threading.Semaphore, taken: str) -> Generator[None]:
    """Hold one of some places.

    Args:
        slots: The places.
        taken: What to tell where there is none.

    Raises:
        TooManyRequestsError: There is none.
    """
    if not slots.acquire(blocking=False):
        raise TooManyRequestsError(taken, _AGAIN_SECONDS)
    try:
        yield
    finally:
        slots.release()
