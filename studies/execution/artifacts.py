"""The checkpoints of one study's packs in training, as files."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from studies.records.rows import Run


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """A folder of one study's checkpoints.

    Args:
        folder: Where the files are.
        every: Seconds of a pack's training from one to the next, and to the first.
        share: At most this share of the time goes into checkpoints; those that take longer are written more rarely.
    """

    folder: Path
    every: float = 60.0
    share: float = 0.01

    def path(self, pack: int) -> Path:
        """Return where a pack's checkpoint is, whether or not it is there.

        Args:
            pack: Its number.
        """
        return self.folder / f"pack-{pack:05d}.checkpoint"

    def written(self, pack: int) -> int:
        """Return when a pack's checkpoint was written, in nanoseconds of the files' clock; 0 where there is none.

        Args:
            pack: Its number.
        """
        try:
            return self.path(pack).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def newest(self) -> int:
        """Return when the last of all was written, as `written` has it."""
        found = 0
        for file in self.folder.glob("pack-*.checkpoint"):
            with contextlib.suppress(FileNotFoundError):  # its pack is done just now
                found = max(found, file.stat().st_mtime_ns)
        return found

    def drop(self, pack: int) -> None:
        """Remove a pack's checkpoint, and what was left of writing one.

        Args:
            pack: Its number.
        """
        for file in self.folder.glob(f"pack-{pack:05d}.*"):
            file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove those of all packs."""
        for file in self.folder.glob("pack-*"):
            file.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Weights:
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

    def drop(self, run: Run) -> None:
        """Remove a run's parameters, where they are.

        Args:
            run: A confirm run.
        """
        self.path(run).unlink(missing_ok=True)
