"""The order of examples: whole shuffled passes without gaps."""

from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.training.batches import BatchSampler


def drawn(examples: int, size: int, count: int, seed: int = 0) -> list[list[int]]:
    order = BatchSampler(examples, size, torch.Generator().manual_seed(seed))
    return [batch.tolist() for batch in islice(order, count)]


@settings(max_examples=50)
@given(examples=st.integers(1, 30), size=st.integers(1, 70), passes=st.integers(1, 4))
def test_every_pass_holds_every_example_once(examples: int, size: int, passes: int) -> None:
    count = -(-passes * examples // size)
    found = drawn(examples, size, count)
    assert {len(batch) for batch in found} == {size}
    flat = [i for batch in found for i in batch]
    for p in range(passes):
        assert sorted(flat[p * examples : (p + 1) * examples]) == list(range(examples))


def test_passes_are_shuffled_anew() -> None:
    one, other = drawn(100, 100, 2)
    assert one != other
    assert list(range(100)) not in (one, other)


@pytest.mark.parametrize("size", [1, 7, 100, 250])
def test_the_batch_size_cuts_one_and_the_same_order(size: int) -> None:
    flat = [i for batch in drawn(100, size, 700 // size) for i in batch]
    whole = [i for batch in drawn(100, 100, 7) for i in batch]
    assert flat == whole[: len(flat)]


def test_seeds_have_orders_of_their_own() -> None:
    assert drawn(50, 10, 5, seed=1) != drawn(50, 10, 5, seed=2)
    assert drawn(50, 10, 5, seed=1) == drawn(50, 10, 5, seed=1)


def test_independent_batches_draw_every_example_by_itself() -> None:
    drawn = BatchSampler(4, 1000, torch.Generator().manual_seed(0), replacement=True)
    first, second = next(drawn), next(drawn)
    counts = first.bincount()
    assert len(counts) == 4
    assert all(200 < int(count) < 300 for count in counts)
    assert not torch.equal(first, second)
    again = BatchSampler(4, 1000, torch.Generator().manual_seed(0), replacement=True)
    assert torch.equal(first, next(again))
