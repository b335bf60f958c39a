"""The paper's MNIST experiment: the authors' split, the net, its start."""

import math

import pytest
import torch
from torch import nn

from studies.seeds import seeded_generator
from studies.workloads.mnist_mlp import WORKLOAD
from tests.support.paths import data_dir

OPTIONS = {option.name: option.default for option in WORKLOAD.options}


def test_splits_as_the_authors_did() -> None:
    found = data_dir(WORKLOAD.files(OPTIONS))
    if found is None:
        pytest.skip("MNIST is not here; set L4_DATA_DIR to a directory that has it")
    data = WORKLOAD.data(OPTIONS, found, seeded_generator("mnist_mlp", 0, "problem"))
    assert data.validation is not None
    assert data.test is not None
    parts = (data.validation, data.train, data.test)
    assert [len(part.inputs) for part in parts] == [5000, 55_000, 10_000]
    assert all(part.inputs.dtype == torch.uint8 and part.inputs.max() == 255 for part in parts)
    # the published files' first labels, of training and of test images
    assert data.validation.targets[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test.targets[:5].tolist() == [7, 2, 1, 0, 4]


def test_the_net_is_the_papers() -> None:
    module = WORKLOAD.model(OPTIONS)
    WORKLOAD.initialise(module, seeded_generator("mnist_mlp", 0, "init"))
    layers = [each for each in module.modules() if isinstance(each, nn.Linear)]
    assert [(each.in_features, each.out_features) for each in layers] == [(784, 300), (300, 100), (100, 10)]
    assert sum(each.numel() for each in module.parameters()) == 266_610
    for layer in layers[:-1]:
        bound = math.sqrt(6 / (layer.in_features + layer.out_features))
        assert 0.99 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert all(not each.bias.any() for each in layers)
    assert not layers[-1].weight.any()


def test_starts_with_ten_equal_classes() -> None:
    module = WORKLOAD.model(OPTIONS)
    WORKLOAD.initialise(module, seeded_generator("mnist_mlp", 0, "init"))
    inputs = torch.randint(256, (64, 784), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = WORKLOAD.loss(module(inputs), torch.arange(64) % 10)
    assert float(loss) == pytest.approx(math.log(10))


def test_an_epoch_is_937_steps() -> None:
    assert OPTIONS["batch_size"] == 64
    assert WORKLOAD.epoch_examples // 64 == 937
    assert WORKLOAD.default_steps == 30 * 937
