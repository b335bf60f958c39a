"""What the driver needs of a study's stored rows, as a protocol."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from studies.planning.throughput import Speed, Subject
from studies.records.rows import Limit, Pack, Rows, Run, Trial


class Ledger(Protocol):
    """One study's rows in the database, as its driver reads and writes them.

    Every write is one transaction and raises `StoppedError` once the study may no longer be written: it was
    cancelled, or another driver holds its lease.
    """

    def rows(self, *, series: bool = False) -> Rows:
        """Return all rows, the runs with their series where asked."""
        ...

    def add_plan(self, trials: Sequence[Trial], packs: Sequence[Pack]) -> None:
        """Write new trials and the packs that train them."""
        ...

    def finish_pack(self, pack: Pack, runs: Sequence[Run]) -> None:
        """Write a trained pack's runs and mark it done; a pack that is already done is left as it is."""
        ...

    def record_progress(self) -> None:
        """Write that the study got further, as `finish_pack` does: its driver was not in vain."""
        ...

    def split_pack(self, first: Pack, second: Pack) -> None:
        """Write a pack with fewer lanes than it had, and one that has the others."""
        ...

    def elapsed_seconds(self) -> float:
        """Return for how many seconds the study has been RUNNING."""
        ...

    def record_limit(self, limit: Limit, reason: str) -> None:
        """Write that a budget ends the searches, and why; once it is written nothing happens."""
        ...

    def speeds(self, subject: Subject) -> tuple[Speed, ...]:
        """Return what was measured of a subject, in any study; nothing where nothing was."""
        ...

    def save_speeds(self, subject: Subject, speeds: Sequence[Speed]) -> None:
        """Write what was measured of a subject, in place of what was before."""
        ...

    def record_wait(self, reason: str) -> None:
        """Write what the study's next pack waits for, in plain words; empty where none waits for long."""
        ...

    def save_report(self, files: Mapping[str, bytes]) -> None:
        """Write the report's forms by file name (`report.json`, `report.html`, ...)."""
        ...
