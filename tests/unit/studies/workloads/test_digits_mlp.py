"""The digits: their split, the net, its start."""

import math
from pathlib import Path

import pytest
import torch

from studies.seeds import seeded_generator
from studies.workloads.digits_mlp import WORKLOAD

OPTIONS = {option.name: option.default for option in WORKLOAD.options}


def test_splits_all_1797_images_once() -> None:
    data = WORKLOAD.data(OPTIONS, Path(), seeded_generator("digits_mlp", 0, "problem"))
    assert data.validation is not None
    assert data.test is not None
    parts = (data.train, data.validation, data.test)
    assert [len(part.inputs) for part in parts] == [1200, 297, 300]
    assert all(part.inputs.min() == 0 and part.inputs.max() == 1 for part in parts)
    assert all(set(part.targets.tolist()) == set(range(10)) for part in parts)


@pytest.mark.parametrize("hidden", [1, 32, 100])
def test_the_net_starts_with_ten_equal_classes(hidden: int) -> None:
    module = WORKLOAD.model(OPTIONS | {"hidden": hidden})
    WORKLOAD.initialise(module, seeded_generator("digits_mlp", 0, "init"))
    assert sum(each.numel() for each in module.parameters()) == 65 * hidden + 10 * (hidden + 1)
    data = WORKLOAD.data(OPTIONS, Path(), seeded_generator("digits_mlp", 0, "problem")).train
    with torch.no_grad():
        assert float(WORKLOAD.loss(module(data.inputs), data.targets)) == pytest.approx(math.log(10))
