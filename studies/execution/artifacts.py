"""The checkpoints of one study's packs in training, as files."""

import contextlib
from dataclasses import dataclass
from pathlib import Path


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
