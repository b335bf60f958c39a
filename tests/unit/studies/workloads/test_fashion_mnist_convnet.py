"""The paper's Fashion-MNIST experiment: data, size, dropout."""

import pytest
import torch

from studies.seeds import seeded_generator
from studies.workloads.fashion_mnist_convnet import WORKLOAD, ConvNet
from tests.support.paths import data_dir

OPTIONS = {option.name: option.default for option in WORKLOAD.options}


def test_takes_the_first_examples_after_those_to_validate() -> None:
    found = data_dir(WORKLOAD.files(OPTIONS))
    if found is None:
        pytest.skip("Fashion-MNIST is not here; set L4_DATA_DIR to a directory that has it")
    drawn = seeded_generator("fashion_mnist_convnet", 0, "problem")
    whole = WORKLOAD.data(OPTIONS, found, drawn)
    part = WORKLOAD.data(OPTIONS | {"train_examples": 100}, found, drawn)
    assert whole.validation is not None
    assert whole.test is not None
    parts = (whole.validation, whole.train, whole.test, part.train)
    assert [len(each.inputs) for each in parts] == [5000, 55_000, 10_000, 100]
    assert torch.equal(part.train.inputs, whole.train.inputs[:100])
    # the published files' first labels, of training and of test images
    assert whole.validation.targets[:5].tolist() == [9, 0, 0, 3, 0]
    assert whole.test.targets[:5].tolist() == [9, 2, 1, 1, 6]


def test_has_the_parameters_of_its_layers() -> None:
    convolutions = (25 * 32 + 32) + (25 * 32 * 64 + 64)
    dense = (7 * 7 * 64 * 1024 + 1024) + (1024 * 10 + 10)
    assert sum(each.numel() for each in ConvNet().parameters()) == convolutions + dense == 3_274_634


def test_drops_two_fifths_of_the_hidden_units_and_keeps_the_mean() -> None:
    assert WORKLOAD.noise is not None
    drawn = seeded_generator("fashion_mnist_convnet", 0, "noise")
    keep = WORKLOAD.noise(OPTIONS, drawn)
    assert keep.shape == (100, 1024)
    assert sorted(keep.unique().tolist()) == [0, pytest.approx(1 / 0.6)]
    assert float(keep.mean()) == pytest.approx(1, abs=0.02)
    assert not torch.equal(keep, WORKLOAD.noise(OPTIONS, drawn))


def test_dropped_units_do_not_matter() -> None:
    net = WORKLOAD.model(OPTIONS)
    WORKLOAD.initialise(net, seeded_generator("fashion_mnist_convnet", 0, "init"))
    images = torch.randint(256, (3, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(net(images, torch.zeros(3, 1024)), torch.zeros(3, 10))  # the biases start at 0
        assert torch.equal(net(images, torch.ones(3, 1024)), net(images))
