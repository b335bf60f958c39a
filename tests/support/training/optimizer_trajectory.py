"""Trajectories of optimizers on a small noisy problem, to compare stacked steps with a reference lane by lane."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn, vmap
from torch.optim import Optimizer as TorchOptimizer

from studies import registry
from studies.optimizers._base import Tensors
from studies.training.lanes import Lanes, stacked_step
from tests.support.training.stateless_losses import stateless_loss

STEPS = 60
SHAPES = ((4, 3), (4,), (2, 4))


def initial() -> Tensors:
    """Return the parameters of a two-layer tanh net."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES)


def batches() -> list[tuple[Tensor, Tensor]]:
    """Return every step's inputs and targets."""
    generator = torch.Generator().manual_seed(2)
    drawn = [torch.randn(8, 5, generator=generator, dtype=torch.float64) for _ in range(STEPS)]
    return [(each[:, :3], each[:, 3:]) for each in drawn]


def loss(params: Tensors, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of the net."""
    w, b, out = params
    return ((inputs @ w.T + b).tanh() @ out.T - targets).square().mean()


def stacked_trajectory(name: str, settings: Sequence[Mapping[str, float]]) -> list[list[Tensor]]:
    """Return every lane's flattened parameters after every step; missing hyperparameters have their defaults."""
    optimizer = registry.load_optimizer(name)
    step = stacked_step(stateless_loss(loss), optimizer)
    lanes = len(settings)
    setting = {
        each.name: torch.tensor([lane.get(each.name, each.default) for lane in settings], dtype=torch.float64)
        for each in optimizer.hyperparameters
    }
    params = tuple(torch.stack([each] * lanes) for each in initial())
    after = Lanes(params, (), vmap(optimizer.init)(params), torch.ones(lanes, dtype=torch.bool))
    found: list[list[Tensor]] = [[] for _ in range(lanes)]
    for batch in batches():
        inputs, targets = (torch.stack([each] * lanes) for each in batch)
        after, _, _ = step(after, (inputs,), targets, setting)
        for lane in range(lanes):
            found[lane].append(torch.cat([each[lane].flatten() for each in after.params]))
    return found


def torch_trajectory(make: Callable[[list[nn.Parameter]], TorchOptimizer], *, clip_norm: float = 0.0) -> list[Tensor]:
    """Return the flattened parameters after every step of one of torch's own optimizers, with its own clipping."""
    params = [nn.Parameter(each) for each in initial()]
    optimizer = make(params)
    found: list[Tensor] = []
    for inputs, targets in batches():
        optimizer.zero_grad()
        loss(tuple(params), inputs, targets).backward()
        if clip_norm:
            nn.utils.clip_grad_norm_(params, clip_norm)
        optimizer.step()
        found.append(torch.cat([each.detach().flatten() for each in params]))
    return found


def function_trajectory(step: Callable[[list[float], list[float], float], list[float]]) -> list[Tensor]:
    """Return the flattened parameters after every step of a function of (parameters, gradient, loss)."""
    params = initial()
    found: list[Tensor] = []
    for inputs, targets in batches():
        grads, value = torch.func.grad_and_value(loss)(params, inputs, targets)
        theta, gradient = (torch.cat([each.flatten() for each in parts]).tolist() for parts in (params, grads))
        moved = torch.tensor(step(theta, gradient, float(value)), dtype=torch.float64)
        found.append(moved)
        split = moved.split([each.numel() for each in params])
        params = tuple(part.reshape(each.shape) for part, each in zip(split, params, strict=True))
    return found


def assert_same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Compare two trajectories, step by step."""
    assert len(found) == len(expected) == STEPS
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(expected[0], expected[-1], rtol=1e-3)
