"""The interface of a study's stored rows that the driver uses, as a protocol."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from studies.planning.throughput import Speed, Subject
from studies.records.rows import Limit, Pack, Rows, Run, Trial


class Ledger(Protocol):
    """The rows of one study in the database.

    Every write is one transaction and raises `StoppedError` once this driver may no longer write: the study was
    cancelled, or another driver holds its lease.
    """

    def rows(self, *, series: bool = False) -> Rows:
        """Return all rows, the runs with or without their series."""
        ...

    def add_plan(self, trials: Sequence[Trial], packs: Sequence[Pack]) -> None:
        """Write new trials and the packs that train them."""
        ...

    def finish_pack(self, pack: Pack, runs: Sequence[Run]) -> None:
        """Write a trained pack's runs and mark it done; a pack that is already done is left as it is."""
        ...

    def record_progress(self) -> None:
        """Record that this driver made progress, as `finish_pack` does."""
        ...

    def split_pack(self, first: Pack, second: Pack) -> None:
        """Write a pack with part of its lanes, and a new one with the others."""
        ...

    def elapsed_seconds(self) -> float:
        """Return for how many seconds the study has been RUNNING."""
        ...

    def record_limit(self, limit: Limit, reason: str) -> None:
        """Record that a budget ended the searches, and why; later calls do nothing."""
        ...

    def speeds(self, subject: Subject) -> tuple[Speed, ...]:
        """Return the measured speeds of a subject, in any study; empty if there are none."""
        ...

    def save_speeds(self, subject: Subject, speeds: Sequence[Speed]) -> None:
        """Replace the measured speeds of a subject."""
        ...

    def record_wait(self, reason: str) -> None:
        """Record what the study's next pack waits for, in plain words; empty if no pack waits for long."""
        ...

    def save_report(self, files: Mapping[str, bytes]) -> None:
        """Store the report's files by name (`report.json`, `report.html`, ...)."""
        ...
