"""The mini-batches of a pack: each lane draws its own indices, augmentation and noise from its seed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar, final

import torch
from torch import Generator, Tensor

from studies.seeds import seeded_generator
from studies.training.lanes import Inputs
from studies.training.task import Task
from studies.workloads._base import Examples, Workload

T = TypeVar("T")


@final
class Batches:
    """Returns every lane's next inputs and targets, stacked.

    Args:
        task: What is trained.
        workload: The workload.
        train: Its training data with a leading lane axis; without the option `batch_size` every batch is all of it.
    """

    def __init__(self, task: Task, workload: Workload, train: Examples) -> None:
        """Seed every lane's random number generators."""
        self._task, self._workload, self._train, self._width = task, workload, train, len(task.lanes)
        self._samplers: list[BatchSampler] = []
        self._augment_generators = self._lane_generators("augment")
        self._noise_generators = self._lane_generators("noise")
        if "batch_size" in task.options:
            size, examples = int(task.options["batch_size"]), train.inputs.shape[1]
            self._samplers = [
                BatchSampler(examples, size, generator, replacement=workload.replacement)
                for generator in self._lane_generators("order")
            ]

    def __call__(self) -> tuple[Inputs, Tensor]:
        """Return the next inputs and targets."""
        if not self._samplers:
            return (self._train.inputs,), self._train.targets
        indices = self._stack_lanes([next(sampler) for sampler in self._samplers])
        inputs, targets = self._gather(self._train.inputs, indices), self._gather(self._train.targets, indices)
        augment, noise = self._workload.augment, self._workload.noise
        if augment is not None:
            augmented = [
                augment(lane_inputs, generator)
                for lane_inputs, generator in zip(inputs, self._augment_generators, strict=False)
            ]
            inputs = self._stack_lanes(augmented)
        if noise is None:
            return (inputs,), targets
        drawn = [noise(self._task.options, generator) for generator in self._noise_generators]
        return (inputs, self._stack_lanes(drawn)), targets

    def select_lanes(self, train: Examples, lanes: Sequence[int], width: int) -> Batches:
        """Return the batches of some lanes, which continue where they are; the last lane is repeated up to a width.

        Args:
            train: The training data of so many lanes.
            lanes: Which lanes.
            width: How many lanes to return batches for.
        """

        def select(per_lane: Sequence[T]) -> list[T]:
            return [per_lane[lane] for lane in lanes] if per_lane else []

        selected = copy.copy(self)
        selected._train, selected._width = train, width
        selected._samplers = select(self._samplers)
        selected._augment_generators = select(self._augment_generators)
        selected._noise_generators = select(self._noise_generators)
        return selected

    def stream_states(self) -> list[Tensor]:
        """Return the state of every lane's random streams, for `load_stream_states`."""
        samplers = [
            state for sampler in self._samplers for state in (sampler.generator.get_state(), sampler.remaining.clone())
        ]
        generators = (*self._augment_generators, *self._noise_generators)
        return [*samplers, *(generator.get_state() for generator in generators)]

    def load_stream_states(self, stream_states: Sequence[Tensor]) -> None:
        """Continue from the stream states of as many lanes.

        Args:
            stream_states: From `stream_states()`.
        """
        states = iter(stream_states)
        for sampler in self._samplers:
            sampler.generator.set_state(next(states))
            sampler.remaining = next(states)
        for generator in (*self._augment_generators, *self._noise_generators):
            generator.set_state(next(states))

    def _lane_generators(self, name: str) -> list[Generator]:
        return [seeded_generator(self._task.workload, lane.seed, name) for lane in self._task.lanes]

    def _stack_lanes(self, parts: list[Tensor]) -> Tensor:
        return torch.stack(parts + parts[-1:] * (self._width - len(parts))).to(self._train.inputs.device)

    def _gather(self, data: Tensor, indices: Tensor) -> Tensor:
        if self._workload.data_per_seed:
            return data[torch.arange(len(indices), device=indices.device)[:, None], indices]
        return data[0].index_select(0, indices.flatten()).unflatten(0, indices.shape)  # all lanes share one set


@final
class BatchSampler:
    """An endless iterator of the example indices of each batch, (batch_size,) int64.

    Shuffled passes follow each other without a gap, as in the authors' loader: a batch may end one and begin the next.

    Args:
        examples: Number of training examples.
        batch_size: Examples of a batch.
        generator: Random number generator.
        replacement: Whether to draw indices with replacement instead of in shuffled passes.
    """

    def __init__(self, examples: int, batch_size: int, generator: Generator, *, replacement: bool = False) -> None:
        """Start before the first batch."""
        self._examples, self._batch_size, self._replacement = examples, batch_size, replacement
        self.generator = generator
        #: Indices of the current pass that are not used yet.
        self.remaining = torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> BatchSampler:
        """Return itself."""
        return self

    def __next__(self) -> Tensor:
        """Return the next batch's indices."""
        if self._replacement:
            return torch.randint(self._examples, (self._batch_size,), generator=self.generator)
        while len(self.remaining) < self._batch_size:
            self.remaining = torch.cat([self.remaining, torch.randperm(self._examples, generator=self.generator)])
        batch, self.remaining = self.remaining[: self._batch_size], self.remaining[self._batch_size :]
        return batch
