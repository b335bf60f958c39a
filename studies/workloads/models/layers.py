"""Models and initialisations that several workloads share."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn


def mlp(widths: Sequence[int]) -> nn.Sequential:
    """Return a multilayer perceptron with ReLU between its layers.

    Args:
        widths: Units of every layer, from the input to the output.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Pixels(nn.Module):
    """Scales bytes to [0, 1]; images stay bytes until here, a quarter of the data to gather for every batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Map bytes to float32 of the same shape."""
        return x.float() / 255


def initialise_mlp(module: nn.Module, generator: Generator) -> None:
    """Draw Xavier-uniform weights for the hidden layers; the output layer and all biases are zero.

    Args:
        module: A module from `mlp`.
        generator: Random number generator.
    """
    linears = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    for layer in linears:
        nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(linears[-1].weight)


def truncated_normal_(parameter: Tensor, fan_in: int, generator: Generator) -> None:
    """Draw from a normal of variance 1 / fan-in, truncated at two standard deviations without correction.

    Args:
        parameter: Overwritten.
        fan_in: Number of inputs of each output.
        generator: Random number generator.
    """
    deviation = fan_in**-0.5
    nn.init.trunc_normal_(parameter, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator)
