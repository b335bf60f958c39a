"""Where packs come from, and what stands between it and Tune."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, final

from studies.execution.jobs import FailureKind, Job, PackResult, Probe
from studies.planning.throughput import Speed

Result = TypeVar("Result")


class JobSource(Protocol):
    """Where packs come from and where their measurements go; called by one thread."""

    def is_finished(self) -> bool:
        """Whether there is nothing left to train, now or later."""
        ...

    def next_job(self) -> Job | Probe | None:
        """Return the next pack or probe, or None where it depends on what is being trained or measured."""
        ...

    def record_result(self, pack: int, result: PackResult) -> None:
        """Take a trained pack's measurements."""
        ...

    def record_speeds(self, probe: int, speeds: Sequence[Speed]) -> None:
        """Take what a probe found."""
        ...

    def handle_failure(self, number: int, reason: str, failure: FailureKind) -> None:
        """Take note of a pack or probe that failed.

        Args:
            number: Its number.
            reason: Why, in plain words.
            failure: Of which kind.
        """
        ...

    def poll(self) -> None:
        """Look at what goes on without a pack being handed out or coming back; called all the time."""
        ...

    def record_wait(self, reason: str) -> None:
        """Take note of what the next pack waits for.

        Args:
            reason: In plain words; empty where none waits for long.
        """
        ...


class ErrorCapturingSource:
    """A source whose errors are kept to be raised later, Tune would bury them in its own; and what goes with it.

    Args:
        source: Where packs come from.
        stopping: Asked all the time; True ends the experiment.
        train: Trains a pack in a worker, on a device as torch names it.
        max_packs: From the GPUs of a pack to how many packs may be out at once; None for any number.
        needs: From the GPUs of a pack to what it waits for, in plain words.
    """

    def __init__(
        self,
        source: JobSource,
        stopping: Callable[[], bool],
        train: Callable[[Job, str], PackResult],
        max_packs: Callable[[float], int | None],
        needs: Callable[[float], str],
    ) -> None:
        """Keep what was given; the GPUs of a pack are known once the cluster is."""
        self._source, self._stopping, self._max_packs = source, stopping, max_packs
        self.train, self.gpus_per_pack = train, 0.0
        self.in_flight = InFlightPacks(
            lambda: needs(self.gpus_per_pack), lambda reason: self.call(lambda source: source.record_wait(reason), None)
        )
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, object]:
        """Keep nothing: Tune pickles all it is given, and nothing is ever restored from that."""
        return {}

    def call(self, action: Callable[[JobSource], Result], default: Result) -> Result:
        """Return the result of an action on the source; `default` once it raised or is to stop.

        Args:
            action: Is given the source.
            default: What is returned where it cannot be used.
        """
        if self.should_end():
            return default
        try:
            return action(self._source)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised later
            self.error = error
            return default

    def is_throttled(self) -> bool:
        """Whether as many packs are out as may be."""
        most, out = self.call(lambda _source: self._max_packs(self.gpus_per_pack), 0), len(self.in_flight)
        held_back = most is not None and out >= most
        self.in_flight.throttled(f"{out} packs are out, as many as its owner's GPUs allow it" if held_back else "")
        return held_back

    def poll(self) -> None:
        """Have the source look around, and tell it what its next pack waits for."""
        self.call(lambda source: source.poll(), None)
        self.call(lambda _source: self.in_flight.report_wait(), None)

    def should_end(self) -> bool:
        """Whether the experiment is to end now."""
        return self.error is not None or self._stopping()


#: Shorter waits are not told: one pack always waits for the moment in which a worker has finished another.
MIN_WAIT_SECONDS = 2.0


@final
class InFlightPacks:
    """Follows packs from the moment they are handed out until they come back.

    Args:
        needs: Returns what a pack needs and what there is, in words.
        report: Called with what the next pack waits for, whenever that changes; empty once it waits for nothing.
        clock: In seconds.
    """

    def __init__(
        self, needs: Callable[[], str], report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with no pack."""
        self._needs, self._report, self._clock = needs, report, clock
        self._waiting: dict[int, float] = {}
        self._training: set[int] = set()
        self._throttled: tuple[str, float] = ("", 0.0)
        self._reported = ""

    def __len__(self) -> int:
        """Return how many packs are out, in training or waiting for it."""
        return len(self._waiting) + len(self._training)

    def submitted(self, number: int) -> None:
        """Note that a pack waits for a worker from now on."""
        self._waiting[number] = self._clock()

    def started(self, number: int) -> None:
        """Note that a pack has a worker."""
        self._waiting.pop(number, None)
        self._training.add(number)

    def completed(self, number: int) -> None:
        """Note that a pack was trained, or lost."""
        self._waiting.pop(number, None)
        self._training.discard(number)

    def throttled(self, reason: str) -> None:
        """Note why nothing is handed out at present; empty where that is not so."""
        if reason != self._throttled[0]:
            self._throttled = (reason, self._clock())

    def report_wait(self) -> None:
        """Tell what the next pack waits for, if that is news."""
        since = min(self._waiting.values(), default=self._clock())
        held_back, held_since = self._throttled
        text = held_back if self._clock() - held_since >= MIN_WAIT_SECONDS else ""
        if self._clock() - since >= MIN_WAIT_SECONDS:
            count = len(self._training)
            text = f"{count} pack{' is' if count == 1 else 's are'} in training; the next waits for {self._needs()}"
        if text != self._reported:
            self._reported = text
            self._report(text)
