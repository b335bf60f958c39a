"""Reading IDX files, the format MNIST is distributed in, straight from their gzip."""

import gzip
from pathlib import Path

import torch
from torch import Tensor

from studies.errors import DataMissingError


def read(path: Path) -> Tensor:
    """Return the bytes of an IDX file as a uint8 tensor of the file's shape.

    The header is big-endian: 0, 0, type code (8: unsigned byte), number of axes, then one 32-bit size an axis.

    Args:
        path: A gzip-compressed IDX file.

    Raises:
        DataMissingError: Where the file is absent or no such file.
    """
    if not path.is_file():
        raise DataMissingError(f"{path} is missing; put the file there or choose another data directory (L4_DATA_DIR)")
    raw = gzip.decompress(path.read_bytes())
    axes = raw[3]
    if raw[:3] != b"\0\0\x08":
        raise DataMissingError(f"{path} is no IDX file of bytes (it starts with {raw[:4].hex()}); delete it")
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    return torch.frombuffer(bytearray(raw[4 + 4 * axes :]), dtype=torch.uint8).reshape(shape)
