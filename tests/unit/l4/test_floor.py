"""The estimate of a loss's floor."""

import math

import torch
from torch import Tensor

from l4.floor import Floor, update_floor


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def begin(floor: float = 0.0) -> Floor:
    return Floor(floor=number(floor), last=number(math.nan), gained=number(0.0), promised=number(0.0))


def after(losses: list[float], promise: float) -> tuple[float, float]:
    known, l_min = begin(), number(losses[0])
    for loss in losses:
        known, l_min = update_floor(
            known, number(loss), number(promise), torch.minimum(l_min, number(loss) - known.floor)
        )
    return float(known.floor), float(l_min)


def test_the_first_loss_says_nothing() -> None:
    known, l_min = update_floor(begin(), number(7.0), number(math.nan), number(math.nan))
    assert (float(known.floor), float(known.last)) == (0.0, 7.0)
    assert (float(known.gained), float(known.promised)) == (0.0, 0.0)
    assert math.isnan(l_min)


def test_it_stays_as_long_as_steps_gain_what_they_promise() -> None:
    assert after([10.0 - 0.1 * i for i in range(50)], promise=0.15) == (0.0, 10.0 - 4.9)


def test_it_rises_towards_the_smallest_loss_when_they_do_not() -> None:
    floor, l_min = after([3.0] * 200, promise=0.5)
    assert 2.999 < floor <= 3.0
    assert math.isclose(floor + l_min, 3.0)


def test_it_is_never_above_a_loss_and_l_min_goes_along() -> None:
    known, l_min = update_floor(begin(2.0)._replace(last=number(5.0)), number(-1.0), number(0.1), number(0.5))
    assert float(known.floor) == -1.0
    assert float(l_min) == 0.5 + 3.0
