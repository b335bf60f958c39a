"""A linear network of two layers fitted to linear data (section 3.1 of the paper, after Recht)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from studies.spec.parameters import Option
from studies.workloads._base import Data, Examples, Options, Workload

INPUTS, HIDDEN, OUTPUTS, SAMPLES = 6, 6, 10, 1000


class TwoLayers(nn.Module):
    """W1 W2 x, without biases."""

    def __init__(self) -> None:
        """Create zero weights; `initialise` draws them."""
        super().__init__()
        self.W1 = nn.Parameter(torch.zeros(OUTPUTS, HIDDEN))
        self.W2 = nn.Parameter(torch.zeros(HIDDEN, INPUTS))

    def forward(self, x: Tensor) -> Tensor:
        """Map (1, 6, samples) to (1, 10, samples)."""
        return (self.W1 @ self.W2 @ x[0])[None]


def target_matrix(construction: str, condition: float, generator: torch.Generator) -> Tensor:
    """Return A, (10, 6), float64.

    `recht` scales the rows of a uniform matrix by 1 to 1/condition in equal steps. Only its last row becomes small, so
    its true condition number is about 10 for any requested one. `svd` has singular values from 1 to 1/condition in
    equal ratios, and so exactly the requested condition number.

    Args:
        construction: `recht` or `svd`.
        condition: The requested condition number.
        generator: Random number generator.
    """
    if construction == "recht":
        rows = torch.linspace(1.0, 1.0 / condition, OUTPUTS, dtype=torch.float64)
        return rows[:, None] * torch.rand(OUTPUTS, INPUTS, dtype=torch.float64, generator=generator)
    normal = torch.randn(OUTPUTS + INPUTS, INPUTS, dtype=torch.float64, generator=generator)
    left, right = torch.linalg.qr(normal[:OUTPUTS])[0], torch.linalg.qr(normal[OUTPUTS:])[0]
    singular = torch.logspace(0.0, -torch.log10(torch.tensor(condition)).item(), INPUTS, dtype=torch.float64)
    return left * singular @ right


def data(options: Options, data_dir: Path, generator: torch.Generator) -> Data:
    """Draw X ~ N(0, 1), and Y = A X, as one example of 1000 columns."""
    x = torch.randn(SAMPLES, INPUTS, dtype=torch.float64, generator=generator)
    a = target_matrix(str(options["construction"]), float(options["condition"]), generator)
    return Data(train=Examples(inputs=x.T.contiguous()[None], targets=(x @ a.T).T.contiguous()[None]))


def model(options: Options) -> nn.Module:
    """Return the two layers."""
    return TwoLayers()


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw N(0, 1) weights."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error summed over outputs and samples."""
    return (outputs - targets).square().sum()


WORKLOAD = Workload(
    summary="Linear regression by a two-layer linear network, full batch (section 3.1 of the paper).",
    options=(
        Option(
            name="construction",
            default="recht",
            choices=("recht", "svd"),
            summary="How A is made: Recht's scaled rows, or singular values with the condition number asked for.",
        ),
        Option(name="condition", default=1e10, low=1.0, high=1e15, summary="Condition number asked for."),
    ),
    default_steps=20_000,
    epoch_examples=1,
    lanes=8,
    step_seconds=0.00005,
    dtype=torch.float64,
    data_per_seed=True,
    data=data,
    model=model,
    initialise=initialise,
    loss=loss,
)
