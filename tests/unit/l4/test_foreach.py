"""The forms for lists of tensors against the pure functions."""

import pytest
import torch
from torch import Tensor

from l4 import foreach
from l4.averages import ema
from l4.directions import adam
from l4.step_size import inner_product


def tensors(seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64, generator=drawn).to(dtype) for shape in ((3, 4), (), (5,), (0,))]


def test_averages() -> None:
    averages, values = tensors(0), tensors(1)
    expected = [ema(a, v, 7.0) for a, v in zip(averages, values, strict=True)]
    squared = [ema(a, v * v, 7.0) for a, v in zip(averages, values, strict=True)]
    squares = [each.clone() for each in averages]
    foreach.ema_(averages, values, 7.0)
    foreach.ema_of_squares_(squares, values, 7.0)
    torch.testing.assert_close(averages, expected)
    torch.testing.assert_close(squares, squared)


def test_adams_direction_with_the_correction_outside() -> None:
    t = torch.tensor(3.0, dtype=torch.float64)
    m, s = tensors(0), [each.square() for each in tensors(1)]
    expected = adam(tuple(m), tuple(s), 10.0, 1000.0, 1e-4, t)
    denominators, root = foreach.adam_denominators(s, 1000.0, 1e-4, t)
    found = foreach.divide_into(m, denominators)
    scale = root / (1 - 0.9**3)
    torch.testing.assert_close([each * scale for each in found], list(expected))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_inner_products(dtype: torch.dtype) -> None:
    left, right = tensors(0, dtype), tensors(1, dtype)
    wide = [tuple(each.double() for each in of) for of in (left, right)]
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5  # bfloat16 is summed in float32
    for other, wide_other in ((right, wide[1]), (left, wide[0])):
        found = foreach.inner_product(left, other)
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, inner_product(wide[0], wide_other), rtol=tolerance, atol=tolerance)


def test_what_is_not_contiguous_is_summed_as_well() -> None:
    a, b = tensors(0)[0].reshape(4, 3).mT, tensors(1)[0]
    torch.testing.assert_close(foreach.inner_product([a], [b]), (a * b).sum())


def test_vectors_times_a_rate_are_subtracted() -> None:
    params, vectors = tensors(0), tensors(1)
    expected = [p - 0.25 * v for p, v in zip(params, vectors, strict=True)]
    foreach.subtract_(params, vectors, torch.tensor(0.25, dtype=torch.float64))
    torch.testing.assert_close(params, expected)
