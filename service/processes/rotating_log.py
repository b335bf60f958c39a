"""A log file that programs write to through a pipe: it rotates by size, and survives a full disk."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

#: Size at which a log file is renamed to `<name>.1`, and how many such files are kept; as in docker-compose.yml.
MAX_BYTES, MAX_BACKUPS = 20_000_000, 4
_PIPE_BYTES = 2**16


class RotatingLog:
    """A log file that several processes may write to, each with an object of its own.

    Args:
        file: The file; created if it does not exist.
        max_bytes: The size at which it is renamed and a new one begun, at the end of a line.
        max_backups: How many renamed files are kept.
    """

    def __init__(self, file: Path, *, max_bytes: int = MAX_BYTES, max_backups: int = MAX_BACKUPS) -> None:
        """Open the file."""
        self._file, self._max_bytes, self._max_backups = file, max_bytes, max_backups
        self._descriptor = self._open()
        self._lost_bytes, self._lost_reason = 0, ""

    def copy(self, source: int) -> None:
        """Write everything that comes through a pipe, until all its writers have closed it.

        Args:
            source: The file descriptor to read from.
        """
        while data := os.read(source, _PIPE_BYTES):
            self.write(data)

    def write(self, data: bytes) -> None:
        """Append some output; what the file system does not take is dropped, and counted in a later line.

        Args:
            data: Some bytes, not necessarily whole lines.
        """
        try:
            if os.fstat(self._descriptor).st_size >= self._max_bytes:
                line_end = data.find(b"\n") + 1
                if line_end > 0:
                    self._append(data[:line_end])
                    data = data[line_end:]
                    self._rotate()
            self._append(data)
        except OSError as error:
            # the program that writes must neither wait nor end because of its log
            self._lost_bytes += len(data)
            self._lost_reason = error.strerror or str(error)

    def _append(self, data: bytes) -> None:
        if self._lost_bytes:
            message = f"{self._lost_bytes} bytes of this log were lost: {self._lost_reason}"
            notice = {"time": datetime.now(UTC).isoformat(), "level": "WARNING", "logger": __name__, "message": message}
            self._write_all(f"\n{json.dumps(notice)}\n".encode())
            self._lost_bytes = 0
        self._write_all(data)

    def _write_all(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def _rotate(self) -> None:
        """Rename the file, unless another process has done so, and open the new one."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # until the descriptor is closed
        try:
            is_current = os.path.samestat(os.stat(self._file), os.fstat(self._descriptor))
        except FileNotFoundError:
            is_current = False
        if is_current:
            for number in range(self._max_backups, 0, -1):
                older = self._backup(number - 1) if number > 1 else self._file
                if older.exists():
                    os.replace(older, self._backup(number))
        new = self._open()
        os.close(self._descriptor)
        self._descriptor = new

    def _backup(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.name}.{number}")

    def _open(self) -> int:
        return os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
