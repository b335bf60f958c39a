"""A real file system of some megabytes, to fill and to free."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, kw_only=True)
class SmallDisk:
    """A mounted file system.

    Args:
        folder: Where it is mounted.
    """

    folder: Path

    def fill(self) -> None:
        """Write until nothing fits, not even a byte into a file that is there."""
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def leave(self, free: int) -> None:
        """Fill it but for some room.

        Args:
            free: The bytes to leave.
        """
        self.fill()
        os.truncate(self._filler, self._filler.stat().st_size - free)

    def free(self) -> None:
        """Remove what filled it."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"


@contextmanager
def mounted_disk(folder: Path, size: int) -> Generator[SmallDisk]:
    """Mount a file system, and unmount it at the end; skips the test where that is not allowed.

    Args:
        folder: An empty folder.
        size: Its size in bytes.
    """
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "l4-small-disk", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder=folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
