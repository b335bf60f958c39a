"""Files of one study: checkpoints of packs in training, and final parameters of confirm runs."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from studies.records.rows import Run


@dataclass(frozen=True, kw_only=True)
class CheckpointStore:
    """A folder of one study's checkpoints.

    Args:
        folder: Where the files are.
        interval_seconds: Seconds of a pack's training from one to the next, and to the first.
        max_overhead: The largest share of the time that checkpoints may take; slow ones are written more rarely.
    """

    folder: Path
    interval_seconds: float = 60.0
    max_overhead: float = 0.01

    def path(self, pack: int) -> Path:
        """Return where a pack's checkpoint is, whether or not it is there.

        Args:
            pack: Its number.
        """
        return self.folder / f"pack-{pack:05d}.checkpoint"

    def modified_ns(self, pack: int) -> int:
        """Return when a pack's checkpoint was written, in nanoseconds of the files' clock; 0 where there is none.

        Args:
            pack: Its number.
        """
        try:
            return self.path(pack).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def latest_modified_ns(self) -> int:
        """Return when the last of all was written, as `written` has it."""
        found = 0
        for file in self.folder.glob("pack-*.checkpoint"):
            with contextlib.suppress(FileNotFoundError):  # its pack is done just now
                found = max(found, file.stat().st_mtime_ns)
        return found

    def delete(self, pack: int) -> None:
        """Remove a pack's checkpoint, and what was left of writing one.

        Args:
            pack: Its number.
        """
        for file in self.folder.glob(f"pack-{pack:05d}.*"):
            file.unlink(missing_ok=True)

    def delete_all(self) -> None:
        """Remove those of all packs."""
        for file in self.folder.glob("pack-*"):
            file.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class ParameterStore:
    """A folder of one study's final parameters.

    Args:
        folder: Where the files are.
    """

    folder: Path

    def path(self, run: Run) -> Path:
        """Return where a run's parameters are, whether or not they are there.

        Args:
            run: A confirm run.
        """
        return self.folder / run.workload / run.arm / str(run.seed) / "parameters.pt"

    def save(self, run: Run, parameters: bytes) -> None:
        """Write a run's parameters, whole or not at all.

        Args:
            run: A confirm run.
            parameters: As `torch.save` writes them.
        """
        path = self.path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(parameters)
        os.replace(partial, path)

    def delete(self, run: Run) -> None:
        """Remove a run's parameters, where they are.

        Args:
            run: A confirm run.
        """
        self.path(run).unlink(missing_ok=True)
