"""Reader of CIFAR-10's batch files, which are pickled dictionaries."""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from studies.errors import DataMissingError


def read(path: Path) -> tuple[Tensor, Tensor]:
    """Return a batch's images, (10000, 3, 32, 32) uint8, and classes, (10000,) int64.

    Args:
        path: A batch file. Check its hash first, since a pickle can run code.

    Raises:
        DataMissingError: The file is missing.
    """
    if not path.is_file():
        raise DataMissingError(f"{path} is missing; put the file there or choose another data directory (L4_DATA_DIR)")
    batch = pickle.loads(path.read_bytes(), encoding="latin1")
    return torch.from_numpy(batch["data"]).reshape(-1, 3, 32, 32), torch.tensor(batch["labels"])
