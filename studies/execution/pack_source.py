"""Where packs come from, and what stands between it and Tune."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from studies.calibrate import Probe
from studies.line import Line
from studies.speeds import Speed
from studies.worker import Failure, Job, Trained

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
