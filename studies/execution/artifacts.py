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
        interval_seconds: Seconds of a pack's training between two checkpoints, and before the first.
        max_overhead: The largest share of the time that checkpoints may take; slow ones are written less often.
    """

    folder: Path
    interval_seconds: float = 60.0
    max_overhead: float = 0.01

    def path(self, pack: int) -> Path:
        """Return the path of a pack's checkpoint, whether or not it exists.

        Args:
            pack: The pack's number.
        """
        return self.folder / f"pack-{pack:05d}.checkpoint"

    def modified_ns(self, pack: int) -> int:
        """Return the modification time of a pack's checkpoint in nanoseconds; 0 if there is none.

        Args:
            pack: The pack's number.
        """
        try:
            return self.path(pack).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def latest_modified_ns(self) -> int:
        """Return the modification time of the latest checkpoint in nanoseconds; 0 if there is none."""
        latest = 0
        for file in self.folder.glob("pack-*.checkpoint"):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, as its pack is done
                latest = max(latest, file.stat().st_mtime_ns)
        return latest

    def delete(self, pack: int) -> None:
        """Delete a pack's checkpoint, and a partly written one.

        Args:
            pack: The pack's number.
        """
        for file in self.folder.glob(f"pack-{pack:05d}.*"):
            file.unlink(missing_ok=True)

    def delete_all(self) -> None:
        """Delete the checkpoints of all packs."""
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
        """Return the path of a run's parameters, whether or not it exists.

        Args:
            run: A confirm run.
        """
        return self.folder / run.workload / run.arm / str(run.seed) / "parameters.pt"

    def save(self, run: Run, parameters: bytes) -> None:
        """Write a run's parameters atomically.

        Args:
            run: A confirm run.
            parameters: As `torch.save` writes them.

        Raises:
            OSError: They cannot be written, as on a full disk; the message names the file.
        """
        path = self.path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        try:
            partial.write_bytes(parameters)
            os.replace(partial, path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            # writing, unlike opening, raises without a name
            raise OSError(error.errno, f"parameters cannot be kept: {error.strerror}", str(path)) from error

    def delete(self, run: Run) -> None:
        """Delete a run's parameters, if they exist.

        Args:
            run: A confirm run.
        """
        self.path(run).unlink(missing_ok=True)
