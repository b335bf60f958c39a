"""CIFAR's batches: images by channel, row and column, with their classes."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from studies.errors import DataMissingError
from studies.workloads.datasets.cifar import read


def test_reads_planes_of_red_green_and_blue(tmp_path: Path) -> None:
    rows = np.arange(2 * 3072, dtype=np.int64).reshape(2, 3072).astype(np.uint8)
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": rows, "labels": [3, 8]}))
    images, classes = read(tmp_path / "batch")
    assert (images.shape, images.dtype, classes.tolist()) == ((2, 3, 32, 32), torch.uint8, [3, 8])
    assert int(images[1, 2, 5, 7]) == rows[1, 2 * 1024 + 5 * 32 + 7]


def test_an_absent_batch_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="batch is missing; put the file there"):
        read(tmp_path / "batch")
