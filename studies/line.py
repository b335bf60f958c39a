"""Which of the packs that were handed out are in training, and what the next of them waits for."""

import time
from collections.abc import Callable
from typing import final

#: Shorter waits are not told: one pack always waits for the moment in which a worker has finished another.
TOLD_SECONDS = 2.0


@final
class Line:
    """Follows packs from the moment they are handed out until they come back.

    Args:
        needs: Returns what a pack needs and what there is, in words.
        tell: Told what the next pack waits for, whenever that changes; empty once it waits for nothing.
        clock: In seconds.
    """

    def __init__(
        self, needs: Callable[[], str], tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with no pack."""
        self._needs, self._tell, self._clock = needs, tell, clock
        self._waiting: dict[int, float] = {}
        self._training: set[int] = set()
        self._held_back: tuple[str, float] = ("", 0.0)
        self._told = ""

    def __len__(self) -> int:
        """Return how many packs are out, in training or waiting for it."""
        return len(self._waiting) + len(self._training)

    def handed_out(self, number: int) -> None:
        """Note that a pack waits for a worker from now on."""
        self._waiting[number] = self._clock()

    def started(self, number: int) -> None:
        """Note that a pack has a worker."""
        self._waiting.pop(number, None)
        self._training.add(number)

    def came_back(self, number: int) -> None:
        """Note that a pack was trained, or lost."""
        self._waiting.pop(number, None)
        self._training.discard(number)

    def held_back(self, reason: str) -> None:
        """Note why nothing is handed out at present; empty where that is not so."""
        if reason != self._held_back[0]:
            self._held_back = (reason, self._clock())

    def look(self) -> None:
        """Tell what the next pack waits for, if that is news."""
        since = min(self._waiting.values(), default=self._clock())
        held_back, held_since = self._held_back
        text = held_back if self._clock() - held_since >= TOLD_SECONDS else ""
        if self._clock() - since >= TOLD_SECONDS:
            count = len(self._training)
            text = f"{count} pack{' is' if count == 1 else 's are'} in training; the next waits for {self._needs()}"
        if text != self._told:
            self._told = text
            self._tell(text)
