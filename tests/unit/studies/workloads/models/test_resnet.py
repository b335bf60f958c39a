"""The residual network: its size by hand, its standardisation, and its forward beside a plain functional form."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, linear, relu

from studies.workloads.models.resnet import EPS, ResNet, initialise_resnet, standardize_images


@pytest.fixture(scope="module")
def net() -> ResNet:
    """A network with drawn weights, and batch norms that are not the identity."""
    module = ResNet().double()
    generator = torch.Generator().manual_seed(0)
    initialise_resnet(module, generator)
    with torch.no_grad():
        for name, value in (*module.named_parameters(), *module.named_buffers()):
            if "norm" in name and value.is_floating_point():
                value.add_(0.3 * torch.rand(value.shape, generator=generator, dtype=torch.float64))
    return module


def images(count: int = 4) -> Tensor:
    return 255 * torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_has_the_parameters_of_a_resnet_32(net: ResNet) -> None:
    convolutions = 3 * 9 * 16
    norms = 0
    before = 16
    for width in (16, 32, 64):
        convolutions += before * width  # the projection
        for block in range(5):
            first = before if block == 0 else width
            convolutions += 9 * first * width + 9 * width * width
            norms += 2 * first + 2 * width
        before = width
    norms += 2 * 64
    dense = 64 * 10 + 10
    assert convolutions + norms + dense == 466_970
    assert sum(each.numel() for each in net.parameters()) == 466_970
    layers = [each for each in net.modules() if isinstance(each, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 32 + 3  # the name does not count projections


@pytest.mark.parametrize("training", [False, True])
def test_forward_is_the_papers_pre_activation_form(net: ResNet, training: bool) -> None:
    """Written once more without modules, the shortcut from the activated input."""
    values = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def norm(name: str, x: Tensor) -> Tensor:
        mean, var = (values[f"{name}.running_{each}"].clone() for each in ("mean", "var"))
        return batch_norm(x, mean, var, values[f"{name}.weight"], values[f"{name}.bias"], training, 0.003, EPS)

    def reference(x: Tensor) -> Tensor:
        x = x - x.mean((1, 2, 3), keepdim=True)
        x = x / x.flatten(1).std(1, correction=0)[:, None, None, None]
        x = conv2d(x, values["conv.weight"], padding=1)
        for i in range(15):
            at, stride = f"blocks.{i}", 2 if i in (5, 10) else 1
            active = relu(norm(f"{at}.norm1", x))
            if i % 5 == 0:
                x = conv2d(active, values[f"{at}.shortcut.weight"], stride=stride)
            inner = conv2d(active, values[f"{at}.conv1.weight"], stride=stride, padding=1)
            x = x + conv2d(relu(norm(f"{at}.norm2", inner)), values[f"{at}.conv2.weight"], padding=1)
        x = relu(norm("norm", x)).mean((2, 3))
        return linear(x, values["dense.weight"], values["dense.bias"])

    net.train(training)
    try:
        with torch.no_grad():
            found = net(images())
    finally:
        net.load_state_dict(values)
        net.eval()
    torch.testing.assert_close(found, reference(images()), rtol=1e-10, atol=1e-10)


def test_standardises_every_image_by_itself() -> None:
    found = standardize_images(images())
    assert torch.allclose(found.mean((1, 2, 3)), torch.zeros(4, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(found.flatten(1).std(1, correction=0), torch.ones(4, dtype=torch.float64))
    assert torch.equal(standardize_images(torch.full((1, 3, 32, 32), 0.5)), torch.zeros(1, 3, 32, 32))


def test_the_start_is_truncated_normal_of_variance_one_by_fan_in() -> None:
    net = ResNet()
    initialise_resnet(net, torch.Generator().manual_seed(0))
    values = net.state_dict()
    weight = values["blocks.14.conv2.weight"]
    deviation = (9 * 64) ** -0.5
    assert float(weight.abs().max()) <= 2 * deviation
    assert float(weight.std()) == pytest.approx(0.88 * deviation, rel=0.02)  # the truncation's part
    assert float(values["blocks.0.norm1.weight"].min()) == 1
