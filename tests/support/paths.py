"""Where the repository and the real data sets are."""

import os
from pathlib import Path

from studies.workloads._base import DataFile

ROOT = Path(__file__).parents[2]
#: Records and data sets that tests use where they are.
SHARED = ROOT.parent / "shared"


def data_dir(files: tuple[DataFile, ...]) -> Path | None:
    """Return a directory that has all files, or None.

    Args:
        files: The data set's files.
    """
    places = [Path(os.environ.get("L4_DATA_DIR", ROOT / "out" / "data")), SHARED / "data"]
    return next((place for place in places if all((place / file.path).is_file() for file in files)), None)
