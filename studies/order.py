"""The order in which a lane sees its examples, cut into batches: shuffled passes, or each drawn by itself."""

from __future__ import annotations

from typing import final

import torch
from torch import Generator, Tensor


@final
class Order:
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

    def __iter__(self) -> Order:
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
