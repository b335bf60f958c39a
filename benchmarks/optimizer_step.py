"""The time of an optimizer's step: L4's and torch's optimizers, measured in turns on one thread.

Usage: python benchmarks/optimizer_step.py [--compiled] [--training] [--rounds N]
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from l4 import L4Adam, L4Mom

Step = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An L4 optimizer and its counterpart in torch.

    Args:
        ours: The name of the L4 optimizer.
        peer: The name of torch's.
        goals: Target for the ratio of their times, for each case.
    """

    ours: str
    peer: str
    goals: dict[str, float]


PAIRS = (
    Pair(ours="L4Adam", peer="Adam", goals={"mnist_mlp": 1.3, "resnet32": 1.3, "25M": 1.35}),
    Pair(ours="L4Mom", peer="SGD", goals={"mnist_mlp": 1.5, "resnet32": 1.5, "25M": 1.35}),
)
COMPILED_GOAL, TRAINING_GOAL = 1.15, 1.03


class Block(nn.Module):
    """A residual block of two convolutions, batch norm in front of each (He et al., 2016)."""

    def __init__(self, width_in: int, width: int) -> None:
        """Create the layers, with a projection if the width changes."""
        super().__init__()
        self.stride = 1 if width_in == width else 2
        self.norm1, self.norm2 = nn.BatchNorm2d(width_in), nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width_in, width, 3, self.stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.shortcut = nn.Identity() if self.stride == 1 else nn.Conv2d(width_in, width, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the block and its shortcut."""
        before = relu(self.norm1(x))
        return self.conv2(relu(self.norm2(self.conv1(before)))) + self.shortcut(x)


def resnet32() -> nn.Module:
    """Return the ResNet-32 for CIFAR-10: 464 thousand parameters in about a hundred tensors."""
    widths = [16] * 6 + [32] * 5 + [64] * 5
    blocks = [Block(before, after) for before, after in itertools.pairwise(widths)]
    head = (nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), *blocks, *head)


def shapes(case: str) -> list[torch.Size]:
    """Return the shapes of a case's parameters."""
    if case == "mnist_mlp":
        layers = [nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)]
        return [p.shape for layer in layers for p in layer.parameters()]
    if case == "resnet32":
        return [p.shape for p in resnet32().parameters()]
    return [torch.Size((1000, 1000))] * 25


def stepper(name: str, params: list[nn.Parameter], *, compiled: bool) -> Step:
    """Return a function that takes one step of a new optimizer."""
    loss = torch.tensor(1.0)
    if name in ("L4Adam", "L4Mom"):
        l4_optimizer = {"L4Adam": L4Adam, "L4Mom": L4Mom}[name](params, alpha=1e-6)

        def l4_step() -> None:
            l4_optimizer.step(loss=loss)

        return torch.compile(l4_step) if compiled else l4_step
    torch_optimizer = (
        torch.optim.Adam(params, lr=1e-6, foreach=True)
        if name == "Adam"
        else torch.optim.SGD(params, lr=1e-6, momentum=0.9, foreach=True)
    )

    def torch_step() -> None:
        torch_optimizer.step()

    return torch.compile(torch_step) if compiled else torch_step


def parameters(sizes: list[torch.Size]) -> list[nn.Parameter]:
    """Return parameters of given shapes, with gradients."""
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in sizes]
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator)
    return params


def training(name: str) -> Step:
    """Return a function that takes one full training step of the ResNet-32, with batch size 128."""
    generator = torch.Generator().manual_seed(0)
    model = resnet32()
    x = torch.randn(128, 3, 32, 32, generator=generator)
    y = torch.randint(0, 10, (128,), generator=generator)
    optimizer = L4Adam(model.parameters()) if name == "L4Adam" else torch.optim.Adam(model.parameters(), foreach=True)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        return loss

    def step() -> None:
        optimizer.step(closure)

    return step


def compare(ours: Step, peer: Step, rounds: int, steps: int) -> tuple[float, float, float]:
    """Measure two steps in turns; return the median seconds of both, and the median of the rounds' ratios."""
    for step in (ours, peer):
        for _ in range(5):
            step()
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        a, b = (_seconds(step, steps) for step in (ours, peer))
        times.append((a, b))
    return (
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        statistics.median(a / b for a, b in times),
    )


def _seconds(step: Step, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def main() -> None:
    """Print a line for each comparison."""
    parser = argparse.ArgumentParser(description="L4's step beside torch's, one thread.")
    parser.add_argument("--compiled", action="store_true", help="the steps under torch.compile")
    parser.add_argument("--training", action="store_true", help="whole training steps of the ResNet-32")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, taken in turns (default: 15)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, median of {options.rounds} rounds")
    if options.training:
        _show("resnet32, training step", *("L4Adam", "Adam"), training, TRAINING_GOAL, options.rounds, 1)
        return
    for case in ("mnist_mlp", "resnet32", "25M"):
        for pair in PAIRS:
            goal = COMPILED_GOAL if options.compiled else pair.goals[case]

            def make(name: str, case: str = case) -> Step:
                return stepper(name, parameters(shapes(case)), compiled=options.compiled)

            _show(case, pair.ours, pair.peer, make, goal, options.rounds, 5 if case == "25M" else 50)


def _show(case: str, ours: str, peer: str, make: Callable[[str], Step], goal: float, rounds: int, steps: int) -> None:
    a, b, ratio = compare(make(ours), make(peer), rounds, steps)
    verdict = "reached" if ratio <= goal else "NOT REACHED"
    print(
        f"{case:24} {ours:6} {a * 1e3:9.3f} ms  {peer:5} {b * 1e3:9.3f} ms  "
        f"ratio {ratio:.3f}  goal {goal:.2f} {verdict}",
        flush=True,
    )


if __name__ == "__main__":
    main()
