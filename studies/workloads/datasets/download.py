"""Download of data set files into the data directory, with a check of their hashes."""

import hashlib
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import pooch
import requests

from studies.errors import DataMissingError
from studies.workloads._base import DataFile


def download_files(files: Sequence[DataFile], data_dir: Path) -> None:
    """Download missing files with a progress bar, and check the hashes of all.

    Args:
        files: The data set's files.
        data_dir: The data directory.

    Raises:
        DataMissingError: A file is missing and could not be downloaded, or has another hash.
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
    path = data_dir / file.path
    if not file.archive_md5:
        pooch.retrieve(file.url, known_hash=f"md5:{file.md5}", fname=path.name, path=path.parent, progressbar=True)
        return
    fname, known_hash = file.url.rpartition("/")[2], f"md5:{file.archive_md5}"
    archive = pooch.retrieve(file.url, known_hash=known_hash, fname=fname, path=data_dir, progressbar=True)
    with tarfile.open(archive) as tar:
        member = tar.extractfile(file.path)
        content = b"" if member is None else member.read()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != file.md5:
        raise ValueError(f"{file.path} in the archive has another MD5 than {file.md5}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
        temporary.write(content)
    Path(temporary.name).replace(path)  # atomically, since another worker may read it
