"""The folder L4_HOME: made if it is missing, and checked before a process starts to write there."""

import os
import tempfile
from pathlib import Path

from service.errors import UnwritableHomeError

#: What processes write to in the folder; another user may have made it, as with one start under `sudo`.
_ENTRIES = ("studies.db", "studies", "logs", "mlflow", "programs")


def prepare_home(home: Path) -> None:
    """Make the folder of the service's data if it is missing, and check that this process can write there.

    Args:
        home: The folder.

    Raises:
        UnwritableHomeError: It cannot; the message has the path and the remedy.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise _unwritable(home, home, error.strerror or str(error)) from error
    for entry in map(home.joinpath, _ENTRIES):
        if entry.exists() and not os.access(entry, os.W_OK):
            raise _unwritable(home, entry, "its permissions, or its file system, allow reading only")


def _unwritable(home: Path, path: Path, reason: str) -> UnwritableHomeError:
    return UnwritableHomeError(
        f"cannot write to {path.absolute()} ({reason}): make it writable for the user with id {os.geteuid()}, "
        f"or name a folder that is with L4_HOME, which is {home} now"
    )
