"""The pre-activation residual network for CIFAR (He et al., 2016b), as TensorFlow's official models have it."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from studies.workloads.models.layers import truncated_normal_

#: TensorFlow's decay of 0.997 for the running statistics, in torch's convention.
MOMENTUM = 1 - 0.997
EPS = 1e-5


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM)


def _conv(before: int, after: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, added to a shortcut.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        stride: Of the first convolution.
        projection: Whether the shortcut is a 1x1 convolution of the activated input instead of the input itself.
    """

    def __init__(self, before: int, after: int, stride: int, *, projection: bool) -> None:
        """Make the layers; `initialise_resnet` draws their weights."""
        super().__init__()
        self.norm1, self.conv1 = _norm(before), _conv(before, after, 3, stride)
        self.norm2, self.conv2 = _norm(after), _conv(after, after, 3, 1)
        self.shortcut = _conv(before, after, 1, stride) if projection else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, before, height, width) to (batch, after, height / stride, width / stride)."""
        active = relu(self.norm1(x))
        kept = x if self.shortcut is None else self.shortcut(active)
        return kept + self.conv2(relu(self.norm2(self.conv1(active))))


class ResNet(nn.Module):
    """A 3x3 convolution, three groups of blocks (16, 32 and 64 filters), batch norm, ReLU, mean, dense.

    Args:
        blocks: Blocks of a group; the network has 6 blocks + 2 layers.
        classes: Outputs.
    """

    def __init__(self, blocks: int = 5, classes: int = 10) -> None:
        """Make the layers; `initialise_resnet` draws their weights."""
        super().__init__()
        self.conv = _conv(3, 16, 3, 1)
        layers: list[Block] = []
        before = 16
        for after, stride in ((16, 1), (32, 2), (64, 2)):
            layers.append(Block(before, after, stride, projection=True))
            layers += [Block(after, after, 1, projection=False) for _ in range(blocks - 1)]
            before = after
        self.blocks = nn.Sequential(*layers)
        self.norm = _norm(before)
        self.dense = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images, (batch, 3, 32, 32) bytes, to logits, (batch, classes)."""
        x = relu(self.norm(self.blocks(self.conv(standardize_images(x.to(self.dense.weight.dtype))))))
        return self.dense(x.mean((2, 3)))


def standardize_images(images: Tensor) -> Tensor:
    """Return images of mean 0 and deviation 1, each by itself (tf.image.per_image_standardization).

    Args:
        images: (batch, channels, height, width) in [0, 255], which the least deviation, 1 / sqrt(values of an image),
            is for.
    """
    count = images[0].numel()
    centered = images - images.mean((1, 2, 3), keepdim=True)
    deviation = centered.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centered / deviation.clamp(min=count**-0.5)


def initialise_resnet(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights: convolutions truncated normal of variance 1 / fan-in, the dense layer Xavier-uniform.

    Args:
        module: A `ResNet`.
        generator: Where to draw from.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif isinstance(layer, nn.Conv2d):
            truncated_normal_(layer.weight, layer.weight[0].numel(), generator)
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
