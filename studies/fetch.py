"""Putting a data set's files into the data directory, checked by hash."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pooch
import requests

from studies.errors import DataMissingError
from studies.workload import DataFile


def fetch(files: Sequence[DataFile], data_dir: Path) -> None:
    """Download what is missing, with a progress bar; files that are there are checked and left.

    Args:
        files: The data set's files.
        data_dir: The data directory.

    Raises:
        DataMissingError: Where a file is neither there nor could be downloaded, or has another hash.
    """
    for file in files:
        path = data_dir / file.path
        if path.is_file():
            if pooch.file_hash(str(path), alg="md5") != file.md5:
                raise DataMissingError(f"{path} is not the published file (its MD5 is not {file.md5}); delete it")
            continue
        try:
            _download(file, data_dir)
        except (requests.RequestException, OSError, ValueError) as error:
            raise DataMissingError(
                f"{path} is missing and {file.url} could not be downloaded ({type(error).__name__}); "
                "put the file there, or set L4_DATA_DIR to a directory that has it"
            ) from error


def _download(file: DataFile, data_dir: Path) -> None:
    if not file.archive_md5:
        path = data_dir / file.path
        pooch.retrieve(file.url, known_hash=f"md5:{file.md5}", fname=path.name, path=path.parent, progressbar=True)
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=data_dir) as folder:
        pooch.retrieve(
            file.url,
            known_hash=f"md5:{file.archive_md5}",
            fname=file.url.rpartition("/")[2],
            path=data_dir,
            processor=pooch.Untar(members=[file.path], extract_dir=folder),
            progressbar=True,
        )
        found = Path(folder, file.path)
        if pooch.file_hash(str(found), alg="md5") != file.md5:
            raise ValueError(f"{file.path} in the archive has another MD5 than {file.md5}")
        (data_dir / file.path).parent.mkdir(parents=True, exist_ok=True)
        found.replace(data_dir / file.path)  # whole, as another worker may be looking
