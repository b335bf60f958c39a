"""What a pack's loop starts from: the data, the stacked step, the lanes before it, their batches and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from studies.optimizers._base import AnyOptimizer, Setting, Tensors
from studies.seeds import seeded_generator
from studies.spec.parameters import Precision
from studies.training.batches import Batches
from studies.training.lanes import Inputs, Lanes, StackedStep, stacked_step
from studies.training.task import Task
from studies.workloads._base import Data, Examples, Options, Workload


@dataclass(frozen=True, kw_only=True)
class FunctionalModel:
    """A module as a function of its parameters and buffers.

    Args:
        module: Without values.
        params: Its parameters' names.
        buffers: Its buffers' names.
    """

    module: nn.Module
    params: tuple[str, ...]
    buffers: tuple[str, ...]

    def __call__(self, params: Tensors, buffers: Tensors, *inputs: Tensor) -> Tensor:
        """Return the module's output."""
        values = dict(zip((*self.params, *self.buffers), (*params, *buffers), strict=True))
        return functional_call(self.module, values, inputs)


@dataclass(frozen=True, kw_only=True)
class InitialState:
    """What a pack's loop starts from.

    Args:
        model: The module.
        data: With the lane axis in front.
        step: The step of all lanes.
        lanes: The lanes before the first step.
        batches: Gives every lane's next inputs and targets.
        setting: Every hyperparameter by name, (lanes,).
        schedule_factors: What scheduled ones are multiplied by, (steps,).
        data_per_seed: Whether every lane has data of its own.
    """

    model: FunctionalModel
    data: Data
    step: StackedStep
    lanes: Lanes
    batches: Batches
    setting: Setting
    schedule_factors: Mapping[str, Tensor]
    data_per_seed: bool

    def select_lanes(self, lanes: Lanes, kept: Sequence[int], width: int) -> InitialState:
        """Return what goes on with some of the lanes, the last of them repeated up to a width.

        Args:
            lanes: The lanes now.
            kept: Which of them.
            width: Lanes to go on with.
        """
        at = torch.tensor([*kept, *[kept[-1]] * (width - len(kept))], device=lanes.alive.device)

        def own(part: Tensor) -> Tensor:
            return part[at]

        def shared(part: Tensor) -> Tensor:
            return part[0].expand(width, *part.shape[1:])

        data = _map_splits(own if self.data_per_seed else shared, [self.data])
        return replace(
            self,
            data=data,
            lanes=tree_map(own, lanes),
            batches=self.batches.select_lanes(data.train, kept, width),
            setting={name: own(each) for name, each in self.setting.items()},
        )

    def hyperparameters_at(self, t: int) -> Setting:
        """Return the hyperparameters of a step, counting from 0."""
        if not self.schedule_factors:
            return self.setting
        return {**self.setting, **{name: self.setting[name] * each[t] for name, each in self.schedule_factors.items()}}


def build_initial_state(
    task: Task, workload: Workload, optimizer: AnyOptimizer, data_dir: Path, *, device: str
) -> InitialState:
    """Return what a pack's loop starts from.

    Each lane draws its initial parameters, its data order and, where the workload draws one, its problem from its own
    seed, so that it is the same run in whatever pack it sits.

    Args:
        task: What to train.
        workload: The workload.
        optimizer: The optimizer of all lanes.
        data_dir: Where data sets are.
        device: Where to train.
    """
    data = _load_data(task, workload, data_dir, device)
    model, params, buffers = _init_model(task, workload, device)

    def batch_loss(at: Tensors, kept: Tensors, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensors]:
        kept = tuple(each.clone() for each in kept)  # the module writes into them
        with torch.autocast(device, torch.bfloat16, enabled=task.precision is Precision.BFLOAT16, cache_enabled=False):
            value = workload.loss(model(at, kept, *inputs), targets)
        return (value if workload.penalty is None else value + workload.penalty(at)), kept

    return InitialState(
        model=model,
        data=data,
        step=stacked_step(batch_loss, optimizer),
        lanes=Lanes(
            params,
            buffers,
            vmap(optimizer.init)(params),
            torch.ones(len(task.lanes), dtype=torch.bool, device=device),
        ),
        batches=Batches(task, workload, data.train),
        setting={
            each.name: torch.tensor(
                [lane.setting[each.name] for lane in task.lanes], dtype=torch.float64, device=device
            )
            for each in optimizer.hyperparameters
        },
        schedule_factors={
            name: torch.tensor(
                [each.factor(t, task.steps) for t in range(task.steps)], dtype=torch.float64, device=device
            )
            for name, each in task.schedules.items()
        },
        data_per_seed=workload.data_per_seed,
    )


def _load_data(task: Task, workload: Workload, data_dir: Path, device: str) -> Data:
    """Return the data with a lane axis in front of every tensor: drawn lane by lane, or one set seen by all."""
    if workload.data_per_seed:

        def stack(*parts: Tensor) -> Tensor:
            return torch.stack(parts).to(device)

        seeds = [seeded_generator(task.workload, lane.seed, "problem") for lane in task.lanes]
        return _map_splits(stack, [workload.data(task.options, data_dir, seed) for seed in seeds])

    def share(part: Tensor) -> Tensor:
        return part.expand(len(task.lanes), *part.shape)

    return _map_splits(
        share, [_load_shared(workload.data, tuple(task.options.items()), data_dir, task.workload, device)]
    )


@lru_cache(maxsize=2)
def _load_shared(
    data: Callable[[Options, Path, Generator], Data],
    options: tuple[tuple[str, float | int | str], ...],
    data_dir: Path,
    name: str,
    device: str,
) -> Data:
    """Return the data that every lane sees, read and put where they are used once for all packs of a process."""

    def there(part: Tensor) -> Tensor:
        return part.to(device)

    return _map_splits(there, [data(dict(options), data_dir, seeded_generator(name, 0, "problem"))])


def _map_splits(change: Callable[..., Tensor], found: Sequence[Data]) -> Data:
    def part(parts: Sequence[Examples | None]) -> Examples | None:
        present = [each for each in parts if each is not None]
        if not present:
            return None
        return Examples(
            inputs=change(*(each.inputs for each in present)), targets=change(*(each.targets for each in present))
        )

    train = part([each.train for each in found])
    assert train is not None
    return Data(
        train=train, validation=part([each.validation for each in found]), test=part([each.test for each in found])
    )


def _init_model(task: Task, workload: Workload, device: str) -> tuple[FunctionalModel, Tensors, Tensors]:
    """Return the module, and every lane's initial parameters and buffers, stacked."""
    with torch.device("meta"):
        module = workload.model(task.options).to(workload.dtype)
    model = FunctionalModel(
        module=module,
        params=tuple(name for name, _ in module.named_parameters()),
        buffers=tuple(name for name, _ in module.named_buffers()),
    )
    params: list[Tensors] = []
    buffers: list[Tensors] = []
    for lane in task.lanes:
        own = module.to_empty(device="cpu")
        workload.initialise(own, seeded_generator(task.workload, lane.seed, "init"))
        params.append(tuple(each.detach().clone() for each in own.parameters()))
        buffers.append(tuple(each.clone() for each in own.buffers()))

    def stacked(lanes: list[Tensors]) -> Tensors:
        return tuple(torch.stack(each).to(device) for each in zip(*lanes, strict=True))

    return model, stacked(params), stacked(buffers)
