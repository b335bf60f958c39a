"""What a workload may declare besides data, module and loss, in packs, beside a plain loop of torch."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss

from studies import registry
from studies.errors import InvalidValueError
from studies.optimizers._base import Tensors
from studies.seeds import seeded_generator
from studies.spec.parameters import Option
from studies.spec.schedule import Schedule, ScheduleKind
from studies.training.batches import BatchSampler
from studies.training.loop import train
from studies.training.measurements import Measurement
from studies.training.task import LaneTask, Task
from studies.workloads._base import Data, Examples, Options, Workload

STEPS, BATCH, EXAMPLES = 6, 5, 12
LANES = ((0.05, 0), (0.02, 1000), (0.05, 3))
OPTIONS: Options = {"batch_size": BATCH}


class Net(nn.Module):
    """A net with batch norm, whose hidden units can be multiplied by noise."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.3), nn.Linear(4, 1)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        hidden = self.norm(self.first(x)).tanh()
        return self.last(hidden if noise is None else hidden * noise)


def data(options: Options, data_dir: Path, drawn: Generator) -> Data:
    def some(count: int) -> Examples:
        inputs = torch.randn(count, 3, generator=drawn, dtype=torch.float64)
        return Examples(inputs=inputs, targets=inputs.sum(1, keepdim=True))

    return Data(train=some(EXAMPLES), validation=some(9))


def initialise(module: nn.Module, drawn: Generator) -> None:
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=drawn)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm1d):
            each.reset_running_stats()


def augment(inputs: Tensor, drawn: Generator) -> Tensor:
    return inputs + torch.randn(inputs.shape, generator=drawn, dtype=inputs.dtype)


def noise(options: Options, drawn: Generator) -> Tensor:
    return 2 * torch.randint(2, (int(options["batch_size"]), 4), generator=drawn).double()


def penalty(params: Tensors) -> Tensor:
    return 0.1 * torch.stack([each.square().sum() for each in params]).sum()


PLAIN = Workload(
    summary="A net.",
    options=(Option(name="batch_size", default=BATCH, summary="Examples of a step."),),
    default_steps=STEPS,
    epoch_examples=EXAMPLES,
    lanes=8,
    dtype=torch.float64,
    has_validation=True,
    data=data,
    model=lambda options: Net(),
    initialise=initialise,
    loss=mse_loss,
)
HALVED = Schedule(kind=ScheduleKind.PIECEWISE, milestones=(0.5,), gamma=0.5)


def in_a_pack(workload: Workload) -> tuple[Measurement, ...]:
    task = Task(
        workload="net",
        options=OPTIONS,
        steps=STEPS,
        steps_per_epoch=STEPS,
        test=False,
        lanes=tuple(LaneTask(setting={"lr": lr, "clip_norm": 0.0}, seed=seed) for lr, seed in LANES),
        schedules={"lr": HALVED},
    )
    return train(task, workload, registry.load_optimizer("sgd"), Path())


def by_itself(workload: Workload, lr: float, seed: int) -> tuple[nn.Module, list[float], float]:
    """Train one run with torch's own optimizer and scheduler; return module, batch losses and validation loss."""
    module = Net().double()
    initialise(module, seeded_generator("net", seed, "init"))
    found = data(OPTIONS, Path(), seeded_generator("net", 0, "problem"))
    optimizer = torch.optim.SGD(module.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [STEPS // 2], gamma=0.5)
    order = BatchSampler(EXAMPLES, BATCH, seeded_generator("net", seed, "order"), replacement=workload.replacement)
    augmenting, noises = seeded_generator("net", seed, "augment"), seeded_generator("net", seed, "noise")
    losses: list[float] = []
    for chosen in islice(order, STEPS):
        inputs, targets = found.train.inputs[chosen], found.train.targets[chosen]
        if workload.augment is not None:
            inputs = workload.augment(inputs, augmenting)
        masks: Sequence[Tensor] = () if workload.noise is None else (workload.noise(OPTIONS, noises),)
        loss = mse_loss(module(inputs, *masks), targets)
        if workload.penalty is not None:
            loss = loss + workload.penalty(tuple(module.parameters()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    assert found.validation is not None
    module.eval()
    with torch.no_grad():
        return module, losses, mse_loss(module(found.validation.inputs), found.validation.targets).item()


@pytest.mark.parametrize(
    "workload",
    [
        pytest.param(PLAIN, id="batch norm"),
        pytest.param(replace(PLAIN, augment=augment), id="augmentation"),
        pytest.param(replace(PLAIN, noise=noise), id="noise"),
        pytest.param(replace(PLAIN, penalty=penalty), id="penalty"),
        pytest.param(replace(PLAIN, replacement=True), id="replacement"),
        pytest.param(replace(PLAIN, augment=augment, noise=noise, penalty=penalty, replacement=True), id="all"),
    ],
)
def test_lanes_train_as_single_runs_of_torch_do(workload: Workload) -> None:
    for (lr, seed), found in zip(LANES, in_a_pack(workload), strict=True):
        module, losses, validation = by_itself(workload, lr, seed)
        (curve,) = (each.values for each in found.series if each.name == "train_loss")
        assert curve == pytest.approx(losses, rel=1e-9)
        assert found.metrics["validation_loss"] == pytest.approx(validation, rel=1e-9)
        expected = module.state_dict()
        assert set(found.parameters) == set(expected)
        for name, value in expected.items():
            torch.testing.assert_close(found.parameters[name], value, rtol=1e-9, atol=1e-12)


def test_what_belongs_to_batches_needs_them() -> None:
    with pytest.raises(InvalidValueError, match="no option named batch_size"):
        replace(PLAIN, options=(), noise=noise)
