"""Reading IDX files, whole and broken."""

import gzip
import math
from pathlib import Path

import pytest
import torch

from studies.errors import DataMissingError
from studies.workloads.datasets.idx import read


def packed(shape: tuple[int, ...], content: bytes, *, start: bytes = b"\0\0\x08") -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    return gzip.compress(start + bytes([len(shape)]) + sizes + content)


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "images.gz"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (1, 1), (0,), (0, 28, 28)])
def test_bytes_read_back_in_their_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = torch.arange(math.prod(shape), dtype=torch.uint8).reshape(shape)
    path = written(tmp_path, packed(shape, bytes(values.flatten().tolist())))
    assert torch.equal(read(path), values)


def test_sizes_are_big_endian(tmp_path: Path) -> None:
    assert read(written(tmp_path, packed((258,), bytes(258)))).shape == (258,)


def test_what_was_read_can_be_written_to(tmp_path: Path) -> None:
    found = read(written(tmp_path, packed((2,), b"\1\2")))
    found += 1
    assert found.tolist() == [2, 3]


whole = packed((4,), b"abcd")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no gzip at all",
        whole[:-9],
        whole[:-4],
        whole[:12] + bytes([whole[12] ^ 255]) + whole[13:],
        gzip.compress(b""),
        gzip.compress(b"\0\0\x08"),
        gzip.compress(b"\0\0\x08\x03\0\0"),
        packed((4,), b"abcd", start=b"\0\0\x0d"),
        packed((4,), b"abcd", start=b"<ht"),
        packed((4,), b"abc"),
        packed((4,), b"abcde"),
        packed((2**32 - 1,) * 3, b"abcd"),
    ],
    ids=[
        "empty",
        "not gzip",
        "cut",
        "cut check sum",
        "flipped byte",
        "no header",
        "no axes",
        "half a header",
        "floats",
        "a web page",
        "too short",
        "too long",
        "absurd sizes",
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, raw: bytes) -> None:
    path = written(tmp_path, raw)
    with pytest.raises(DataMissingError, match="delete it") as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="L4_DATA_DIR"):
        read(tmp_path / "nothing.gz")
    with pytest.raises(DataMissingError, match="is missing"):
        read(tmp_path)
