"""The pre-activation residual network for CIFAR (He et al., 2016b), as in TensorFlow's official models."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from studies.workloads.models.layers import truncated_normal_

#: TensorFlow's decay of 0.997 for the running statistics, in torch's convention.
MOMENTUM = 1 - 0.997
EPS = 1e-5


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM)


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, added to a shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Of the first convolution.
        projection: Whether the shortcut is a 1x1 convolution of the activated input instead of the input.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, projection: bool) -> None:
        """Create the layers; `initialise_resnet` draws their weights."""
        super().__init__()
        self.norm1, self.conv1 = _norm(in_channels), _conv(in_channels, out_channels, 3, stride)
        self.norm2, self.conv2 = _norm(out_channels), _conv(out_channels, out_channels, 3, 1)
        self.shortcut = _conv(in_channels, out_channels, 1, stride) if projection else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride)."""
        active = relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        return shortcut + self.conv2(relu(self.norm2(self.conv1(active))))


class ResNet(nn.Module):
    """A 3x3 convolution, three groups of blocks (16, 32 and 64 filters), batch norm, ReLU, mean, dense.

    Args:
        blocks: Number of blocks of a group; the network has 6 blocks + 2 layers.
        classes: Number of classes.
    """

    def __init__(self, blocks: int = 5, classes: int = 10) -> None:
        """Create the layers; `initialise_resnet` draws their weights."""
        super().__init__()
        self.conv = _conv(3, 16, 3, 1)
        layers: list[Block] = []
        in_channels = 16
        for out_channels, stride in ((16, 1), (32, 2), (64, 2)):
            layers.append(Block(in_channels, out_channels, stride, projection=True))
            layers += [Block(out_channels, out_channels, 1, projection=False) for _ in range(blocks - 1)]
            in_channels = out_channels
        self.blocks = nn.Sequential(*layers)
        self.norm = _norm(in_channels)
        self.dense = nn.Linear(in_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images, (batch, 3, 32, 32) bytes, to logits, (batch, classes)."""
        x = relu(self.norm(self.blocks(self.conv(standardize_images(x.to(self.dense.weight.dtype))))))
        return self.dense(x.mean((2, 3)))


def standardize_images(images: Tensor) -> Tensor:
    """Scale each image to mean 0 and standard deviation 1 (tf.image.per_image_standardization).

    Args:
        images: (batch, channels, height, width) in [0, 255]. The standard deviation is at least
            1 / sqrt(number of values of an image), which suits this range.
    """
    count = images[0].numel()
    centered = images - images.mean((1, 2, 3), keepdim=True)
    deviation = centered.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centered / deviation.clamp(min=count**-0.5)


def initialise_resnet(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights: convolutions truncated normal of variance 1 / fan-in, the dense layer Xavier-uniform.

    Args:
        module: A `ResNet`.
        generator: Random number generator.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif isinstance(layer, nn.Conv2d):
            truncated_normal_(layer.weight, layer.weight[0].numel(), generator)
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
