"""The initial state of a pack's training loop: data, stacked step, lanes, batches and hyperparameters."""

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
        module: The module; its own values are not used.
        params: Names of its parameters.
        buffers: Names of its buffers.
    """

    module: nn.Module
    params: tuple[str, ...]
    buffers: tuple[str, ...]

    def __call__(self, params: Tensors, buffers: Tensors, *inputs: Tensor) -> Tensor:
        """Return the module's outputs."""
        values = dict(zip((*self.params, *self.buffers), (*params, *buffers), strict=True))
        return functional_call(self.module, values, inputs)


@dataclass(frozen=True, kw_only=True)
class InitialState:
    """The initial state of a pack's training loop.

    Args:
        model: The module.
        data: The data, with the lane axis first.
        step: One step of all lanes.
        lanes: The lanes before the first step.
        batches: Returns every lane's next inputs and targets.
        setting: Hyperparameters by name, (lanes,).
        schedule_factors: Factors of the scheduled hyperparameters by name, (steps,).
        data_per_seed: Whether lanes have different data.
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
        """Return the state with only some of the lanes, the last one repeated to fill a width.

        Args:
            lanes: The current lanes.
            kept: Positions of the lanes to keep.
            width: Number of lanes of the result.
        """
        positions = torch.tensor([*kept, *[kept[-1]] * (width - len(kept))], device=lanes.alive.device)

        def select(tensor: Tensor) -> Tensor:
            return tensor[positions]

        def expand_first(tensor: Tensor) -> Tensor:
            return tensor[0].expand(width, *tensor.shape[1:])

        data = _map_splits(select if self.data_per_seed else expand_first, [self.data])
        return replace(
            self,
            data=data,
            lanes=tree_map(select, lanes),
            batches=self.batches.select_lanes(data.train, kept, width),
            setting={name: select(values) for name, values in self.setting.items()},
        )

    def hyperparameters_at(self, t: int) -> Setting:
        """Return the hyperparameters of step t, counted from 0."""
        if not self.schedule_factors:
            return self.setting
        scheduled = {name: self.setting[name] * factors[t] for name, factors in self.schedule_factors.items()}
        return {**self.setting, **scheduled}


def build_initial_state(
    task: Task, workload: Workload, optimizer: AnyOptimizer, data_dir: Path, *, device: str
) -> InitialState:
    """Build the initial state of a pack's training loop.

    Each lane draws its initial parameters, its data order and, if the workload has random data, its data from its own
    seed, so that its run does not depend on the pack.

    Args:
        task: The task to train.
        workload: The workload.
        optimizer: The optimizer of all lanes.
        data_dir: Directory of the data sets.
        device: Device to train on.
    """
    data = _load_data(task, workload, data_dir, device)
    model, params, buffers = _init_model(task, workload, device)

    def batch_loss(
        lane_params: Tensors, lane_buffers: Tensors, inputs: Inputs, targets: Tensor
    ) -> tuple[Tensor, Tensors]:
        lane_buffers = tuple(buffer.clone() for buffer in lane_buffers)  # the module writes into them
        with torch.autocast(device, torch.bfloat16, enabled=task.precision is Precision.BFLOAT16, cache_enabled=False):
            value = workload.loss(model(lane_params, lane_buffers, *inputs), targets)
        return (value if workload.penalty is None else value + workload.penalty(lane_params)), lane_buffers

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
            hyperparameter.name: torch.tensor(
                [lane.setting[hyperparameter.name] for lane in task.lanes], dtype=torch.float64, device=device
            )
            for hyperparameter in optimizer.hyperparameters
        },
        schedule_factors={
            name: torch.tensor(
                [schedule.factor(t, task.steps) for t in range(task.steps)], dtype=torch.float64, device=device
            )
            for name, schedule in task.schedules.items()
        },
        data_per_seed=workload.data_per_seed,
    )


def _load_data(task: Task, workload: Workload, data_dir: Path, device: str) -> Data:
    """Return the data with a lane axis first: drawn for every lane, or one data set that all lanes share."""
    if workload.data_per_seed:

        def stack(*tensors: Tensor) -> Tensor:
            return torch.stack(tensors).to(device)

        generators = [seeded_generator(task.workload, lane.seed, "problem") for lane in task.lanes]
        return _map_splits(stack, [workload.data(task.options, data_dir, generator) for generator in generators])

    def share(tensor: Tensor) -> Tensor:
        return tensor.expand(len(task.lanes), *tensor.shape)

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
    """Return data that all lanes share, cached on the device for all packs of a process."""

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device)

    return _map_splits(move, [data(dict(options), data_dir, seeded_generator(name, 0, "problem"))])


def _map_splits(function: Callable[..., Tensor], data_sets: Sequence[Data]) -> Data:
    """Return one data set, each tensor of it the function's value for that tensor of all data sets."""

    def map_split(splits: Sequence[Examples | None]) -> Examples | None:
        present = [examples for examples in splits if examples is not None]
        if not present:
            return None
        return Examples(
            inputs=function(*(examples.inputs for examples in present)),
            targets=function(*(examples.targets for examples in present)),
        )

    train = map_split([data.train for data in data_sets])
    assert train is not None
    return Data(
        train=train,
        validation=map_split([data.validation for data in data_sets]),
        test=map_split([data.test for data in data_sets]),
    )


def _init_model(task: Task, workload: Workload, device: str) -> tuple[FunctionalModel, Tensors, Tensors]:
    """Return the module, and the stacked initial parameters and buffers of all lanes."""
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
        lane_module = module.to_empty(device="cpu")
        workload.initialise(lane_module, seeded_generator(task.workload, lane.seed, "init"))
        params.append(tuple(param.detach().clone() for param in lane_module.parameters()))
        buffers.append(tuple(buffer.clone() for buffer in lane_module.buffers()))

    def stack(lanes: list[Tensors]) -> Tensors:
        return tuple(torch.stack(tensors).to(device) for tensors in zip(*lanes, strict=True))

    return model, stack(params), stack(buffers)
