import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.holm import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def test_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@given(P_VALUES)
def test_never_milder_than_none_nor_stricter_than_bonferroni(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p)


@given(P_VALUES)
def test_keeps_the_order(p_values: list[float]) -> None:
    pairs = sorted(zip(p_values, holm(p_values), strict=True))
    adjusted = [value for _, value in pairs]
    assert adjusted == sorted(adjusted)


def test_equal_p_values_are_adjusted_alike() -> None:
    assert holm([0.01, 0.01, 0.01]) == pytest.approx((0.03, 0.03, 0.03))
