import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.sign_test import sign_test


def test_by_hand() -> None:
    # 9 of 10 positive: 2 (1 + 10) / 2^10
    assert sign_test([1.0] * 9 + [-1.0]) == pytest.approx(22 / 1024)


def test_infinite_differences_count_by_their_sign_and_zeros_not_at_all() -> None:
    assert sign_test([math.inf, math.inf, 0.5, 2.0, 0.0, 0.0]) == pytest.approx(2 / 16)


@given(st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 1.0, math.inf]), max_size=20))
def test_is_a_probability_and_symmetric(values: list[float]) -> None:
    p = sign_test(values)
    assert 0 < p <= 1
    assert sign_test([-value for value in values]) == p


def test_nothing_but_zeros_says_nothing() -> None:
    assert sign_test([0.0, 0.0]) == 1.0
