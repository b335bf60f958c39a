"""The directions of L4Mom and L4Adam."""

import pytest
import torch
from torch import Tensor

from l4.averages import ema
from l4.directions import adam, momentum
from l4.step_size import inner_product


def gradients(steps: int) -> list[Tensor]:
    drawn = torch.Generator().manual_seed(7)
    return [torch.randn(5, dtype=torch.float64, generator=drawn) for _ in range(steps)]


def count(t: int) -> Tensor:
    return torch.tensor(float(t), dtype=torch.float64)


def test_the_first_directions_are_the_gradient_and_its_signs() -> None:
    (grad,) = gradients(1)
    m, s = (grad / 10,), (grad.square() / 1000,)
    torch.testing.assert_close(momentum(m, 10.0, count(1))[0], grad)
    torch.testing.assert_close(adam(m, s, 10.0, 1000.0, 0.0, count(1))[0], grad.sign())


def test_eps_is_added_outside_the_root_after_the_correction() -> None:
    tiny = torch.tensor([1e-8], dtype=torch.float64)
    found = adam((tiny / 10,), (tiny.square() / 1000,), 10.0, 1000.0, 1e-4, count(1))[0]
    assert float(found) == pytest.approx(1e-8 / (1e-8 + 1e-4))


def test_a_gradient_of_zero_gives_no_direction() -> None:
    zero = torch.zeros(3)
    assert adam((zero,), (zero,), 10.0, 1000.0, 1e-4, count(1))[0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_a_direction_never_points_uphill_of_its_own_gradient_estimate(steps: int) -> None:
    m, s = torch.zeros(5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    for grad in gradients(steps):
        m, s = ema(m, grad, 10.0), ema(s, grad.square(), 1000.0)
    g = momentum((m,), 10.0, count(steps))
    for v in (g, adam((m,), (s,), 10.0, 1000.0, 1e-4, count(steps))):
        assert float(inner_product(g, v)) > 0


def test_every_tensor_keeps_its_shape() -> None:
    shapes = [(2, 3), (4,), ()]
    m = tuple(torch.ones(shape) for shape in shapes)
    assert [tuple(each.shape) for each in momentum(m, 10.0, count(2))] == shapes
    assert [tuple(each.shape) for each in adam(m, m, 10.0, 1000.0, 1e-4, count(2))] == shapes
