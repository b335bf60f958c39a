"""Reader of gzip-compressed IDX files, the format of MNIST."""

import gzip
import math
import zlib
from pathlib import Path

import torch
from torch import Tensor

from studies.errors import DataMissingError


def read(path: Path) -> Tensor:
    """Return the bytes of an IDX file as a uint8 tensor of the file's shape.

    The header is big-endian: 0, 0, type code (8: unsigned byte), number of axes, then a 32-bit size for each axis.

    Args:
        path: A gzip-compressed IDX file.

    Raises:
        DataMissingError: The file is missing or has another format.
    """
    if not path.is_file():
        raise DataMissingError(f"{path} is missing; put the file there or choose another data directory (L4_DATA_DIR)")
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataMissingError(f"{path} is no whole gzip file ({error}); delete it") from error
    if raw[:3] != b"\0\0\x08" or len(raw) < 4:
        raise DataMissingError(f"{path} is no IDX file of bytes (it starts with {raw[:4].hex()!r}); delete it")
    axes = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    if len(raw) != 4 + 4 * axes + math.prod(shape):
        raise DataMissingError(f"{path} does not hold the {math.prod(shape)} bytes that its header names; delete it")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8)[4 + 4 * axes :].reshape(shape)
