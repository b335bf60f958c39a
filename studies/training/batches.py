"""Every lane's batches, each drawn in the lane's own order, gathered from the data where they are."""

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
    """Gives every lane's next inputs and targets, stacked.

    Args:
        task: What is trained.
        workload: The workload.
        train: Its training data, the lane axis in front; without the option `batch_size` they are every batch.
    """

    def __init__(self, task: Task, workload: Workload, train: Examples) -> None:
        """Start every lane's streams from its seed."""
        self._task, self._workload, self._train, self._width = task, workload, train, len(task.lanes)
        self._orders: list[BatchSampler] = []
        self._augmenting, self._noises = self._streams("augment"), self._streams("noise")
        if "batch_size" in task.options:
            size, examples = int(task.options["batch_size"]), train.inputs.shape[1]
            self._orders = [
                BatchSampler(examples, size, each, replacement=workload.replacement) for each in self._streams("order")
            ]

    def __call__(self) -> tuple[Inputs, Tensor]:
        """Return the next inputs and targets."""
        if not self._orders:
            return (self._train.inputs,), self._train.targets
        at = self._stacked([next(order) for order in self._orders])
        inputs, targets = self._chosen(self._train.inputs, at), self._chosen(self._train.targets, at)
        augment, noise = self._workload.augment, self._workload.noise
        if augment is not None:
            changed = [augment(own, each) for own, each in zip(inputs, self._augmenting, strict=False)]
            inputs = self._stacked(changed)
        if noise is None:
            return (inputs,), targets
        return (inputs, self._stacked([noise(self._task.options, each) for each in self._noises])), targets

    def only(self, train: Examples, kept: Sequence[int], width: int) -> Batches:
        """Return the batches of some of the lanes, which go on where they are; the last one is repeated.

        Args:
            train: The training data of so many lanes.
            kept: Which lanes.
            width: How many lanes to return batches of.
        """

        def own(streams: Sequence[T]) -> list[T]:
            return [streams[lane] for lane in kept] if streams else []

        following = copy.copy(self)
        following._train, following._width = train, width
        following._orders = own(self._orders)
        following._augmenting, following._noises = own(self._augmenting), own(self._noises)
        return following

    def streams(self) -> list[Tensor]:
        """Return where every lane's streams are, for `go_to`."""
        orders = [part for each in self._orders for part in (each.generator.get_state(), each.left.clone())]
        return [*orders, *(each.get_state() for each in (*self._augmenting, *self._noises))]

    def go_to(self, streams: Sequence[Tensor]) -> None:
        """Go on from where the streams of as many lanes were.

        Args:
            streams: As `streams` returned them.
        """
        given = iter(streams)
        for order in self._orders:
            order.generator.set_state(next(given))
            order.left = next(given)
        for each in (*self._augmenting, *self._noises):
            each.set_state(next(given))

    def _streams(self, name: str) -> list[Generator]:
        return [seeded_generator(self._task.workload, lane.seed, name) for lane in self._task.lanes]

    def _stacked(self, parts: list[Tensor]) -> Tensor:
        return torch.stack(parts + parts[-1:] * (self._width - len(parts))).to(self._train.inputs.device)

    def _chosen(self, part: Tensor, at: Tensor) -> Tensor:
        if self._workload.drawn:
            return part[torch.arange(len(at), device=at.device)[:, None], at]
        return part[0].index_select(0, at.flatten()).unflatten(0, at.shape)  # all lanes see one set


@final
class BatchSampler:
    """The example indices of one batch after another, for ever; an iterator of (batch_size,) int64.

    Shuffled passes follow each other without a gap, as in the authors' loader: a batch may end one and begin the next.

    Args:
        examples: Number of training examples.
        batch_size: Examples of a batch.
        generator: Where to draw from.
        replacement: Whether every index is drawn by itself from all, instead of in shuffled passes.
    """

    def __init__(self, examples: int, batch_size: int, generator: Generator, *, replacement: bool = False) -> None:
        """Start with nothing drawn."""
        self._examples, self._batch_size, self._replacement = examples, batch_size, replacement
        self.generator = generator
        #: What is left of the last pass.
        self.left = torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> BatchSampler:
        """Return itself."""
        return self

    def __next__(self) -> Tensor:
        """Return the next batch's indices."""
        if self._replacement:
            return torch.randint(self._examples, (self._batch_size,), generator=self.generator)
        while len(self.left) < self._batch_size:
            self.left = torch.cat([self.left, torch.randperm(self._examples, generator=self.generator)])
        batch, self.left = self.left[: self._batch_size], self.left[self._batch_size :]
        return batch
