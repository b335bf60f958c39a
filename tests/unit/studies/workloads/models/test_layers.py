"""Models that workloads share."""

import pytest
import torch
from torch import nn

from studies.workloads.models.layers import Pixels, initialise_mlp, mlp


def test_layers_alternate_with_relu_and_end_linear() -> None:
    kinds = [type(layer) for layer in mlp((4, 3, 2))]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear]


def test_bytes_become_fractions() -> None:
    found = Pixels()(torch.tensor([0, 51, 255], dtype=torch.uint8))
    assert found.dtype == torch.float32
    assert found.tolist() == [0, pytest.approx(0.2), 1]


def test_starts_at_zero_output_with_xavier_below() -> None:
    net = mlp((200, 100, 50, 10))
    initialise_mlp(net, torch.Generator().manual_seed(0))
    first, second, last = (layer.weight.detach() for layer in net if isinstance(layer, nn.Linear))
    for weight, bound in ((first, (6 / 300) ** 0.5), (second, (6 / 150) ** 0.5)):
        assert float(weight.abs().max()) <= bound
        torch.testing.assert_close(float(weight.std()), bound / 3**0.5, rtol=0.05, atol=0)
    assert not last.any()
    assert all(not layer.bias.detach().any() for layer in net if isinstance(layer, nn.Linear))
