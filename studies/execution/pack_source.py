"""Where packs come from, and what stands between it and Tune."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, final

from studies.execution.jobs import Failure, Job, Probe, Trained
from studies.planning.throughput import Speed

Result = TypeVar("Result")


class Source(Protocol):
    """Where packs come from and where their measurements go; called by one thread."""

    def finished(self) -> bool:
        """Whether there is nothing left to train, now or later."""
        ...

    def take(self) -> Job | Probe | None:
        """Return the next pack or probe, or None where it depends on what is being trained or measured."""
        ...

    def trained(self, pack: int, result: Trained) -> None:
        """Take a trained pack's measurements."""
        ...

    def measured(self, probe: int, speeds: Sequence[Speed]) -> None:
        """Take what a probe found."""
        ...

    def failed(self, number: int, reason: str, failure: Failure) -> None:
        """Take note of a pack or probe that failed.

        Args:
            number: Its number.
            reason: Why, in plain words.
            failure: Of which kind.
        """
        ...

    def look(self) -> None:
        """Look at what goes on without a pack being handed out or coming back; called all the time."""
        ...

    def waits(self, reason: str) -> None:
        """Take note of what the next pack waits for.

        Args:
            reason: In plain words; empty where none waits for long.
        """
        ...


class Guard:
    """A source whose errors are kept to be raised later, Tune would bury them in its own; and what goes with it.

    Args:
        source: Where packs come from.
        stopping: Asked all the time; True ends the experiment.
        train: Trains a pack in a worker, on a device as torch names it.
        most: From the GPUs of a pack to how many packs may be out at once; None for any number.
        needs: From the GPUs of a pack to what it waits for, in plain words.
    """

    def __init__(
        self,
        source: Source,
        stopping: Callable[[], bool],
        train: Callable[[Job, str], Trained],
        most: Callable[[float], int | None],
        needs: Callable[[float], str],
    ) -> None:
        """Keep what was given; the GPUs of a pack are known once the cluster is."""
        self._source, self._stopping, self._most = source, stopping, most
        self.train, self.share = train, 0.0
        self.line = Line(lambda: needs(self.share), lambda reason: self.call(lambda source: source.waits(reason), None))
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, object]:
        """Keep nothing: Tune pickles all it is given, and nothing is ever restored from that."""
        return {}

    def call(self, use: Callable[[Source], Result], otherwise: Result) -> Result:
        """Return what a use of the source gives; `otherwise` once it raised or is to stop.

        Args:
            use: Of the source.
            otherwise: What is returned where it cannot be used.
        """
        if self.ended():
            return otherwise
        try:
            return use(self._source)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised later
            self.error = error
            return otherwise

    def held_back(self) -> bool:
        """Whether as many packs are out as may be."""
        most, out = self.call(lambda _source: self._most(self.share), 0), len(self.line)
        held_back = most is not None and out >= most
        self.line.held_back(f"{out} packs are out, as many as its owner's GPUs allow it" if held_back else "")
        return held_back

    def look(self) -> None:
        """Have the source look around, and tell it what its next pack waits for."""
        self.call(lambda source: source.look(), None)
        self.call(lambda _source: self.line.look(), None)

    def ended(self) -> bool:
        """Whether the experiment is to end now."""
        return self.error is not None or self._stopping()


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
