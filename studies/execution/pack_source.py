"""The source of packs, and the layer between it and Tune: error capture, limits, and packs in flight."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, final

from studies.execution.jobs import FailureKind, Job, PackResult, Probe
from studies.planning.throughput import Speed

Result = TypeVar("Result")


class JobSource(Protocol):
    """Provides packs and receives their results; called by one thread."""

    def is_finished(self) -> bool:
        """Return whether there is nothing left to train, now or later."""
        ...

    def next_job(self) -> Job | Probe | None:
        """Return the next pack or probe; None if it depends on packs in training or running probes."""
        ...

    def record_result(self, pack: int, result: PackResult) -> None:
        """Record the result of a trained pack."""
        ...

    def record_speeds(self, probe: int, speeds: Sequence[Speed]) -> None:
        """Record the speeds that a probe measured."""
        ...

    def handle_failure(self, number: int, reason: str, failure: FailureKind) -> None:
        """Handle the failure of a pack or probe.

        Args:
            number: Its number.
            reason: The reason, in plain words.
            failure: The kind of failure.
        """
        ...

    def poll(self) -> None:
        """Do periodic work; called continually, also while no pack starts or ends."""
        ...

    def record_wait(self, reason: str) -> None:
        """Record what the next pack waits for.

        Args:
            reason: In plain words; empty if no pack waits for long.
        """
        ...


class ErrorCapturingSource:
    """Wraps a source and stores its errors to be raised later, since Tune would hide them among its own.

    Args:
        source: Provides packs.
        stopping: Polled continually; True ends the experiment.
        train: Trains a pack in a worker, on a torch device.
        max_packs: Maps the GPUs of a pack to the largest number of packs in flight; None for no limit.
        needs: Maps the GPUs of a pack to what it waits for, in plain words.
    """

    def __init__(
        self,
        source: JobSource,
        stopping: Callable[[], bool],
        train: Callable[[Job, str], PackResult],
        max_packs: Callable[[float], int | None],
        needs: Callable[[float], str],
    ) -> None:
        """Store the arguments; `gpus_per_pack` is set once the cluster is known."""
        self._source, self._stopping, self._max_packs = source, stopping, max_packs
        self.train, self.gpus_per_pack = train, 0.0
        self.in_flight = InFlightPacks(
            lambda: needs(self.gpus_per_pack), lambda reason: self.call(lambda source: source.record_wait(reason), None)
        )
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, object]:
        """Return an empty state: Tune pickles its components, but they are never restored."""
        return {}

    def call(self, action: Callable[[JobSource], Result], default: Result) -> Result:
        """Return the result of an action on the source; `default` once the experiment should end.

        Args:
            action: Called with the source.
            default: Returned if the source raises or must not be called any more.
        """
        if self.should_end():
            return default
        try:
            return action(self._source)
        except Exception as error:  # noqa: BLE001 - every error is raised later
            self.error = error
            return default

    def is_throttled(self) -> bool:
        """Return whether the largest number of packs is in flight."""
        limit, count = self.call(lambda _source: self._max_packs(self.gpus_per_pack), 0), len(self.in_flight)
        is_throttled = limit is not None and count >= limit
        self.in_flight.throttled(f"{count} packs are out, as many as its owner's GPUs allow it" if is_throttled else "")
        return is_throttled

    def poll(self) -> None:
        """Poll the source, and report what its next pack waits for."""
        self.call(lambda source: source.poll(), None)
        self.call(lambda _source: self.in_flight.report_wait(), None)

    def should_end(self) -> bool:
        """Return whether the experiment should end now."""
        return self.error is not None or self._stopping()


#: Shorter waits are not reported: one pack always waits briefly until a worker has finished another.
MIN_WAIT_SECONDS = 2.0


@final
class InFlightPacks:
    """Tracks packs from submission to completion.

    Args:
        needs: Returns what a pack needs and what is available, in words.
        report: Called with what the next pack waits for, whenever that changes; empty once it waits for nothing.
        clock: Returns seconds.
    """

    def __init__(
        self, needs: Callable[[], str], report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start without packs."""
        self._needs, self._report, self._clock = needs, report, clock
        self._waiting: dict[int, float] = {}
        self._training: set[int] = set()
        self._throttled: tuple[str, float] = ("", 0.0)
        self._reported = ""

    def __len__(self) -> int:
        """Return the number of packs in training or waiting for a worker."""
        return len(self._waiting) + len(self._training)

    def submitted(self, number: int) -> None:
        """Record that a pack waits for a worker from now on."""
        self._waiting[number] = self._clock()

    def started(self, number: int) -> None:
        """Record that a pack has a worker."""
        self._waiting.pop(number, None)
        self._training.add(number)

    def completed(self, number: int) -> None:
        """Record that a pack was trained, or lost."""
        self._waiting.pop(number, None)
        self._training.discard(number)

    def throttled(self, reason: str) -> None:
        """Record why no pack is submitted at present; empty if packs are."""
        if reason != self._throttled[0]:
            self._throttled = (reason, self._clock())

    def report_wait(self) -> None:
        """Report what the next pack waits for, if that has changed."""
        waiting_since = min(self._waiting.values(), default=self._clock())
        reason, throttled_since = self._throttled
        text = reason if self._clock() - throttled_since >= MIN_WAIT_SECONDS else ""
        if self._clock() - waiting_since >= MIN_WAIT_SECONDS:
            count = len(self._training)
            text = f"{count} pack{' is' if count == 1 else 's are'} in training; the next waits for {self._needs()}"
        if text != self._reported:
            self._reported = text
            self._report(text)
