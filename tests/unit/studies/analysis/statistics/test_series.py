"""Statistics of recorded series, against published values, simulation and brute force."""

import math
from statistics import fmean, median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from studies.analysis.statistics.averages import geometric_mean
from studies.analysis.statistics.series import log_smoothing, minmax_band, steps_to_target, trailing_means

LOG_SMOOTHING_VALUES = st.lists(
    st.sampled_from([0.0, 1e-20, 0.3, 1.0, 7.5, 1e9, math.inf, math.nan]), min_size=1, max_size=30
)


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


@given(LOG_SMOOTHING_VALUES, st.sampled_from([0.0, 1e-30, 0.5]), st.sampled_from([0.5, 2.0, 3.0]))
def test_log_smoothing_agrees_with_the_definition(values: list[float], floor: float, sigma: float) -> None:
    found = log_smoothing(np.array(values), floor, sigma)
    assert found.tolist() == pytest.approx(literal(values, floor, sigma), rel=1e-9, nan_ok=True)


def test_log_smoothing_curves_are_smoothed_one_by_one() -> None:
    curves = 10.0 ** np.random.default_rng(0).normal(size=(4, 50))
    found = log_smoothing(curves, 1e-30)
    assert np.allclose(found, [log_smoothing(curve, 1e-30) for curve in curves])


def straight(points: int) -> NDArray[np.floating]:
    return np.logspace(0, -8, points)


def test_log_smoothing_a_straight_line_in_the_logarithm_stays_one_away_from_the_ends() -> None:
    assert log_smoothing(straight(60), 1e-30)[8:-8] == pytest.approx(straight(60)[8:-8])


def test_log_smoothing_a_loss_of_zero_counts_as_the_floor_and_not_more() -> None:
    assert log_smoothing(np.array([0.0, 0.0, 0.0]), 1e-12) == pytest.approx(1e-12)
    assert log_smoothing(np.array([1.0, 0.0]), 1e-12, 0.0) == pytest.approx([1.0, 1e-12])


def test_log_smoothing_without_a_width_nothing_is_changed() -> None:
    assert log_smoothing(straight(20), 1e-30, 0.0) == pytest.approx(straight(20))


def test_log_smoothing_noise_is_damped_and_the_geometric_mean_kept() -> None:
    logs = np.random.default_rng(0).normal(size=20_000)
    smooth = np.log10(log_smoothing(10.0**logs, 0.0))
    # a Gaussian kernel's weights squared sum to 1 / (2 sqrt(pi) sigma)
    assert float(np.std(smooth)) == pytest.approx((1 / (4 * math.sqrt(math.pi))) ** 0.5, rel=0.05)
    assert float(np.mean(smooth)) == pytest.approx(float(np.mean(logs)), abs=1e-3)


CURVES = st.integers(1, 5).flatmap(
    lambda points: st.lists(st.lists(st.floats(1e-12, 1e12), min_size=points, max_size=points), min_size=1, max_size=6)
)


@given(CURVES)
def test_minmax_band_means_agree_with_scipy_and_lie_within_the_band(curves: list[list[float]]) -> None:
    values = np.array(curves)
    geometric, plain = minmax_band(values, geometric=True), minmax_band(values, geometric=False)
    assert geometric.center == pytest.approx(stats.gmean(values, axis=0))
    assert plain.center == pytest.approx(values.mean(axis=0))
    for band in (geometric, plain):
        assert (band.low == values.min(axis=0)).all()
        assert (band.high == values.max(axis=0)).all()
        assert (band.low <= band.center * (1 + 1e-9)).all()
        assert (band.center <= band.high * (1 + 1e-9)).all()


@given(CURVES)
def test_minmax_band_does_not_depend_on_the_order_of_the_curves(curves: list[list[float]]) -> None:
    band, other = minmax_band(np.array(curves), geometric=True), minmax_band(np.array(curves[::-1]), geometric=True)
    assert band.center == pytest.approx(other.center)
    assert (band.low == other.low).all()


def test_minmax_band_at_each_point_it_is_over_the_curves_that_have_a_value_there() -> None:
    values = np.array([[1.0, 2.0, math.nan], [100.0, math.inf, math.nan], [10.0, math.nan, math.inf]])
    band = minmax_band(values, geometric=True)
    assert band.center.tolist() == pytest.approx([10.0, 2.0, math.nan], nan_ok=True)
    assert band.low.tolist() == pytest.approx([1.0, 2.0, math.nan], nan_ok=True)
    assert band.high.tolist() == pytest.approx([100.0, 2.0, math.nan], nan_ok=True)


def test_minmax_band_what_is_not_positive_is_in_a_plain_mean_alone() -> None:
    values = np.array([[-1.0, 0.0], [3.0, 4.0]])
    assert minmax_band(values, geometric=False).center.tolist() == [1.0, 2.0]
    assert minmax_band(values, geometric=True).center == pytest.approx([3.0, 4.0])


def test_minmax_band_with_the_smoothing_it_is_the_geometric_mean_of_the_paper_with_zeros_at_the_floor() -> None:
    values = np.array([[0.0, 0.0], [1.0, 1e-4]])
    band = minmax_band(log_smoothing(values, 1e-10, 0.0), geometric=True)
    expected = [geometric_mean([0.0, 1.0], 1e-10), geometric_mean([0.0, 1e-4], 1e-10)]
    assert band.center == pytest.approx(expected)
    assert band.low == pytest.approx(1e-10)


def test_minmax_band_smoothing_and_averaging_can_be_exchanged() -> None:
    values = 10.0 ** np.random.default_rng(0).normal(size=(5, 40))
    first = minmax_band(log_smoothing(values, 1e-30), geometric=True).center
    last = log_smoothing(minmax_band(values, geometric=True).center, 1e-30)
    assert first == pytest.approx(last)


STEPS_TO_TARGET_VALUES = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.inf, math.nan]), min_size=1, max_size=20)


@given(STEPS_TO_TARGET_VALUES, st.sampled_from([0.0, 0.5, 1.0]))
def test_steps_to_target_is_the_first_step_that_is_good_enough(values: list[float], target: float) -> None:
    steps = range(10, 10 + len(values))
    found = steps_to_target(steps, values, target)
    reached = [step for step, value in zip(steps, values, strict=True) if value <= target]
    assert found == (reached[0] if reached else math.inf)


@given(STEPS_TO_TARGET_VALUES)
def test_steps_to_target_a_harder_target_takes_longer(values: list[float]) -> None:
    steps = range(len(values))
    assert steps_to_target(steps, values, 0.0) >= steps_to_target(steps, values, 0.5)


def test_steps_to_target_what_rises_again_was_there() -> None:
    assert steps_to_target([1, 2, 3], [5.0, 1.0, 9.0], 1.0) == 2.0


def test_steps_to_target_where_half_the_seeds_never_reach_it_the_median_is_infinite() -> None:
    runs = [[3.0, 1.0], [3.0, 1.0], [3.0, 2.0], [math.nan, math.inf]]
    assert median(steps_to_target([10, 20], run, 1.0) for run in runs) == math.inf
    assert median(steps_to_target([10, 20], run, 1.0) for run in runs[:3]) == 20.0


TRAILING_MEANS_VALUES = st.lists(st.floats(min_value=0.0, max_value=1e6), min_size=1, max_size=30)


@given(TRAILING_MEANS_VALUES, st.integers(min_value=1, max_value=8), st.integers(min_value=1, max_value=5))
def test_trailing_means_is_the_mean_of_the_points_of_the_last_window(
    values: list[float], window: int, stride: int
) -> None:
    steps = range(stride, stride * len(values) + 1, stride)
    points = dict(zip(steps, values, strict=True))
    found = dict(zip(*trailing_means(steps, values, window), strict=True))
    assert list(found) == [step for step in steps if step >= window]
    for step, mean in found.items():
        own = [points[each] for each in range(step - window + 1, step + 1) if each in points]
        assert mean == pytest.approx(fmean(own))


def test_trailing_means_what_has_no_value_has_no_mean() -> None:
    assert [math.isnan(each) for each in trailing_means([1, 2, 3], [1.0, math.nan, 1.0], 1)[1]] == [False, True, False]
