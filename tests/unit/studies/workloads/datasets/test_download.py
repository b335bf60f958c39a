"""Data files from a real server, checked by hash."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from studies.errors import DataMissingError
from studies.workloads._base import DataFile
from studies.workloads.datasets.download import download_files

pytestmark = pytest.mark.heavy

CONTENT = b"some data"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file.gz").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_what_is_missing_is_downloaded_and_then_left(url: str, tmp_path: Path) -> None:
    file = DataFile(path="set/file.gz", url=url + "file.gz", md5=MD5)
    download_files([file], tmp_path / "data")
    assert (tmp_path / "data/set/file.gz").read_bytes() == CONTENT
    (tmp_path / "served/file.gz").unlink()
    download_files([file], tmp_path / "data")


def test_another_file_under_its_name_is_refused_and_kept(url: str, tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(b"other data")
    with pytest.raises(DataMissingError, match="is not the published file"):
        download_files([DataFile(path="file.gz", url=url + "file.gz", md5=MD5)], tmp_path)
    assert (tmp_path / "file.gz").read_bytes() == b"other data"


@pytest.mark.parametrize(("name", "md5"), [("absent.gz", MD5), ("file.gz", "0" * 32)])
def test_a_download_that_fails_or_is_another_file_leaves_nothing(url: str, tmp_path: Path, name: str, md5: str) -> None:
    with pytest.raises(DataMissingError, match=r"could not be downloaded \(.+\); put the file there"):
        download_files([DataFile(path="set/file.gz", url=url + name, md5=md5)], tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*.gz"))


def archive(url: str, tmp_path: Path) -> DataFile:
    """Serve an archive of two files, and return one of them."""
    packed = tmp_path / "served" / "both.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for name, content in (("set/one", CONTENT), ("set/two", b"more data")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    md5 = hashlib.md5(packed.read_bytes(), usedforsecurity=False).hexdigest()
    return DataFile(path="set/one", url=url + "both.tar.gz", md5=MD5, archive_md5=md5)


def test_a_file_of_an_archive_is_downloaded_with_it_once(url: str, tmp_path: Path) -> None:
    file = archive(url, tmp_path)
    download_files([file], tmp_path / "data")
    assert (tmp_path / "data/set/one").read_bytes() == CONTENT
    assert not (tmp_path / "data/set/two").exists()
    (tmp_path / "served/both.tar.gz").unlink()
    two = hashlib.md5(b"more data", usedforsecurity=False).hexdigest()
    download_files([file, replace(file, path="set/two", md5=two)], tmp_path / "data")
    assert (tmp_path / "data/set/two").read_bytes() == b"more data"
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"set", "both.tar.gz"}


def test_another_file_in_an_archive_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="could not be downloaded"):
        download_files([replace(archive(url, tmp_path), md5="0" * 32)], tmp_path / "data")
    assert not (tmp_path / "data/set").exists()
