"""The folder L4_HOME: made if it is missing, and checked before a process starts to write there."""

import errno
import os
import tempfile
from pathlib import Path

from service.errors import DiskFullError, UnwritableHomeError

#: What processes write to in the folder; another user may have made it, as with one start under `sudo`.
_ENTRIES = (
    *("studies.db", "studies.db-wal", "studies.db-shm"),
    *("recorder.lock", "studies", "logs", "mlflow", "programs"),
)
#: Room for SQLite's journal, a checkpoint, and the logs until somebody looks. With less, nothing new is begun.
MIN_FREE_BYTES = 64 * 2**20
#: Exit status of a process that ends because a disk is full.
DISK_FULL_STATUS = os.EX_IOERR


def prepare_home(home: Path) -> None:
    """Make the folder of the service's data if it is missing, and check that this process can write there.

    Args:
        home: The folder.

    Raises:
        UnwritableHomeError: It cannot; the message has the path and the remedy.
        DiskFullError: The disk, or a quota, takes no further file.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        if is_no_space(error):
            raise _disk_full(f"{home.absolute()}: {error.strerror}") from error
        raise _unwritable(home, home, error.strerror or str(error)) from error
    for entry in map(home.joinpath, _ENTRIES):
        if entry.exists() and not os.access(entry, os.W_OK):
            raise _unwritable(home, entry, "its permissions, or its file system, allow reading only")


def require_space(home: Path) -> None:
    """Check that the disk of a deployment's files has room.

    Args:
        home: The deployment's `L4_HOME`.

    Raises:
        DiskFullError: It has less than `MIN_FREE_BYTES`, or can take no further file.
    """
    disk = os.statvfs(home)
    free = disk.f_bavail * disk.f_frsize
    # some file systems have no fixed number of files, and say 0 of 0
    if free >= MIN_FREE_BYTES and (disk.f_favail > 0 or disk.f_files == 0):
        return
    room = f"it has room for {free / 1e6:.0f} MB" if free < MIN_FREE_BYTES else "it can take no further file"
    raise _disk_full(room)


def is_no_space(error: OSError) -> bool:
    """Return whether something failed because a disk, or a user's quota, is full.

    Args:
        error: What it raised.
    """
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _disk_full(reason: str) -> DiskFullError:
    return DiskFullError(
        f"the disk of L4_HOME is full: {reason}. Logs, checkpoints, parameters and, by default, the database and "
        f"MLflow's store are on it. No study is taken up until {MIN_FREE_BYTES / 1e6:.0f} MB are free: remove other "
        "files, or enlarge it"
    )


def _unwritable(home: Path, path: Path, reason: str) -> UnwritableHomeError:
    return UnwritableHomeError(
        f"cannot write to {path.absolute()} ({reason}): make it writable for the user with id {os.geteuid()}, "
        f"or name a folder that is with L4_HOME, which is {home} now"
    )
