"""Writes a report's files into a folder, and nowhere else."""

from collections.abc import Mapping
from pathlib import Path

from studies.errors import BundleError


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is created if missing; no file is written if a name points elsewhere.

    Args:
        folder: The folder.
        files: Contents by name; names of figures contain those of workloads and metrics, which come from a bundle.

    Raises:
        BundleError: A name is no plain file name.
    """
    for name in files:
        if name in {"", ".."} or "\\" in name or Path(name).name != name:
            raise BundleError(f"{name!r} is no plain file name, and would be written elsewhere; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
