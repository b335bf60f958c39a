"""The order in which a lane sees its examples, cut into batches: shuffled passes, or each drawn by itself."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor


def batches(examples: int, batch_size: int, generator: Generator) -> Iterator[Tensor]:
    """Yield the example indices of one batch after another, for ever.

    The passes follow each other without a gap, as in the authors' loader: a batch may end one and begin the next.

    Args:
        examples: Number of training examples.
        batch_size: Examples of a batch.
        generator: Where each pass's order is drawn from.

    Yields:
        Indices, (batch_size,), int64.
    """
    left = torch.empty(0, dtype=torch.int64)
    while True:
        while len(left) < batch_size:
            left = torch.cat([left, torch.randperm(examples, generator=generator)])
        yield left[:batch_size]
        left = left[batch_size:]


def independent_batches(examples: int, batch_size: int, generator: Generator) -> Iterator[Tensor]:
    """Yield the example indices of one batch after another, for ever, each index drawn from all.

    Args:
        examples: Number of training examples.
        batch_size: Examples of a batch.
        generator: Where to draw from.

    Yields:
        Indices, (batch_size,), int64.
    """
    while True:
        yield torch.randint(examples, (batch_size,), generator=generator)
