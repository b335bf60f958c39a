import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from studies.statistics.log_smoothing import log_smoothing

VALUES = st.lists(st.sampled_from([0.0, 1e-20, 0.3, 1.0, 7.5, 1e9, math.inf, math.nan]), min_size=1, max_size=30)


def literal(values: list[float], floor: float, sigma: float) -> list[float]:
    """The definition, point by point."""

    def has_log(value: float) -> bool:
        return math.isfinite(value) and max(value, floor) > 0

    found: list[float] = []
    for i, value in enumerate(values):
        if not has_log(value):
            found.append(math.nan)
            continue
        near = [j for j in range(len(values)) if abs(j - i) <= 4 * sigma and has_log(values[j])]
        weights = [math.exp(-((j - i) ** 2) / (2 * sigma**2)) for j in near]
        logs = [math.log10(max(values[j], floor)) for j in near]
        total = math.fsum(weight * log for weight, log in zip(weights, logs, strict=True))
        found.append(10 ** (total / math.fsum(weights)))
    return found


@given(VALUES, st.sampled_from([0.0, 1e-30, 0.5]), st.sampled_from([0.5, 2.0, 3.0]))
def test_agrees_with_the_definition(values: list[float], floor: float, sigma: float) -> None:
    found = log_smoothing(np.array(values), floor, sigma)
    assert found.tolist() == pytest.approx(literal(values, floor, sigma), rel=1e-9, nan_ok=True)


def test_curves_are_smoothed_one_by_one() -> None:
    curves = 10.0 ** np.random.default_rng(0).normal(size=(4, 50))
    found = log_smoothing(curves, 1e-30)
    assert np.allclose(found, [log_smoothing(curve, 1e-30) for curve in curves])


def straight(points: int) -> NDArray[np.floating]:
    return np.logspace(0, -8, points)


def test_a_straight_line_in_the_logarithm_stays_one_away_from_the_ends() -> None:
    assert log_smoothing(straight(60), 1e-30)[8:-8] == pytest.approx(straight(60)[8:-8])


def test_a_loss_of_zero_counts_as_the_floor_and_not_more() -> None:
    assert log_smoothing(np.array([0.0, 0.0, 0.0]), 1e-12) == pytest.approx(1e-12)
    assert log_smoothing(np.array([1.0, 0.0]), 1e-12, 0.0) == pytest.approx([1.0, 1e-12])


def test_without_a_width_nothing_is_changed() -> None:
    assert log_smoothing(straight(20), 1e-30, 0.0) == pytest.approx(straight(20))


def test_noise_is_damped_and_the_geometric_mean_kept() -> None:
    logs = np.random.default_rng(0).normal(size=20_000)
    smooth = np.log10(log_smoothing(10.0**logs, 0.0))
    # a Gaussian kernel's weights squared sum to 1 / (2 sqrt(pi) sigma)
    assert float(np.std(smooth)) == pytest.approx((1 / (4 * math.sqrt(math.pi))) ** 0.5, rel=0.05)
    assert float(np.mean(smooth)) == pytest.approx(float(np.mean(logs)), abs=1e-3)
