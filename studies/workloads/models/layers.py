"""Models that several workloads share, as plain modules without any initialisation of their own."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn


def mlp(widths: Sequence[int]) -> nn.Sequential:
    """Return a multilayer perceptron with ReLU between its layers.

    Args:
        widths: Units of every layer, the input's first.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Pixels(nn.Module):
    """Scales bytes to [0, 1]: image data stay bytes, a quarter of what would have to be gathered for every batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Map bytes to float32 of the same shape."""
        return x.float() / 255


def initialise_mlp(module: nn.Module, generator: Generator) -> None:
    """Draw Xavier-uniform weights for the hidden layers; the output layer and all biases are zero.

    Args:
        module: What `mlp` gave.
        generator: Where to draw from.
    """
    linears = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    for layer in linears:
        nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(linears[-1].weight)


def truncated_normal_(parameter: Tensor, fan_in: int, generator: Generator) -> None:
    """Draw from a normal of variance 1 / fan-in, cut off at two deviations (the variance is not corrected for that).

    Args:
        parameter: Overwritten.
        fan_in: Inputs of each output.
        generator: Where to draw from.
    """
    deviation = fan_in**-0.5
    nn.init.trunc_normal_(parameter, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator)
