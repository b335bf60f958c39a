import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.reporting.figures.style import (
    COLOURS,
    RC_PARAMS,
    arm_style,
    create_axes,
    format_power,
    padded_limits,
    set_log_axis,
)


def luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_is_seen_on_light_and_on_dark(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 3
    assert (luminance(colour) + 0.05) / (luminance("#0f1318") + 0.05) >= 3


def test_many_arms_look_different() -> None:
    assert len({arm_style(index) for index in range(50)}) == 50


@pytest.mark.parametrize(
    ("value", "expected"), [(1e-7, "10⁻⁷"), (2e-7, "2·10⁻⁷"), (0.02, "0.02"), (1.0, "1"), (1e20, "10²⁰")]
)
def test_ticks_are_plain_characters(value: float, expected: str) -> None:
    assert format_power(value) == expected


@given(st.lists(st.floats(0, allow_nan=False)))
def test_limits_are_a_proper_logarithmic_range(values: list[float]) -> None:
    low, high = padded_limits(values)
    assert 0 < low < high < float("inf")


@pytest.mark.parametrize(("low", "high"), [(1e-30, 1.0), (0.01, 0.02), (0.1, 0.9), (0.1, 50.0), (1e-300, 1e300)])
def test_a_logarithmic_axis_has_a_few_ticks(low: float, high: float) -> None:
    with mpl.rc_context(RC_PARAMS):
        _, axes = create_axes("title", "x", "y", ["a"])
        set_log_axis(axes, "y", low, high)
        ticks = [tick for tick in axes.yaxis.get_majorticklocs() if low <= tick <= high]
    assert 2 <= len(ticks) <= 9
