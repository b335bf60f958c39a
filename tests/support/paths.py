"""Where real data sets are, for tests that train on them."""

import os
from pathlib import Path

from studies.workload import DataFile


def data_dir(files: tuple[DataFile, ...]) -> Path | None:
    """Return a directory that has all files, or None.

    Args:
        files: The data set's files.
    """
    root = Path(__file__).parents[1]
    places = [Path(os.environ.get("L4_DATA_DIR", root / "out" / "data")), root.parent / "shared" / "data"]
    return next((place for place in places if all((place / file.path).is_file() for file in files)), None)
