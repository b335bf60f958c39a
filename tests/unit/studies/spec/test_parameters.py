"""Options and hyperparameters: what they admit, and what they say of the rest."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.errors import InvalidValueError
from studies.spec.parameters import Hyperparameter, Option

#: A whole number that no float holds.
TOO_LONG = 10**400


def whole(low: float | None = 1, high: float | None = 100) -> Option:
    return Option(name="batch_size", default=64, summary="Examples of a step.", low=low, high=high)


def lr(at_least: float | None = 0.0, at_most: float | None = None, log: bool = True) -> Hyperparameter:
    return Hyperparameter(
        name="lr",
        default=0.1,
        summary="Step.",
        at_least=at_least,
        at_most=at_most,
        search_low=1e-3,
        search_high=1.0,
        log=log,
    )


@pytest.mark.parametrize("value", [1, 100, 2.0])
def test_an_option_admits_its_bounds_and_whole_floats(value: float) -> None:
    assert whole().fault(value) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 is below 1"),
        (101, "101 is above 100"),
        (2.5, "2.5 is not a whole number"),
        (math.nan, "nan is not finite"),
        (-math.inf, "-inf is not finite"),
        (TOO_LONG, "is not finite"),
        (True, "True is not a number"),
        ("64", "'64' is not a number"),
        (None, "None is not a number"),
    ],
)
def test_an_option_says_what_is_wrong(value: object, said: str) -> None:
    assert said in (whole().fault(value) or "")


@pytest.mark.parametrize("value", [math.inf, math.nan, -TOO_LONG])
def test_an_option_without_bounds_is_finite_all_the_same(value: float) -> None:
    assert "not finite" in (whole(None, None).fault(value) or "")


def test_a_choice_is_one_of_its_words() -> None:
    option = Option(name="matrix", default="plain", summary="How A is made.", choices=("plain", "conditioned"))
    assert option.fault("conditioned") is None
    assert option.fault("Plain") == "'Plain' is not one of plain, conditioned"
    assert option.fault(1) == "1 is not one of plain, conditioned"


@pytest.mark.parametrize(("default", "choices"), [(0, ()), ("other", ("one", "two")), (math.nan, ())])
def test_an_option_refuses_a_default_that_it_does_not_admit(default: float | str, choices: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValueError, match="default of option 'x'"):
        Option(name="x", default=default, summary="", choices=choices, low=1)


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_a_hyperparameter_admits_exactly_what_its_bounds_do(value: float) -> None:
    admitted = lr(at_most=5.0).fault(value) is None
    assert admitted == (0.0 <= value <= 5.0)


def test_a_hyperparameter_without_bounds_takes_any_finite_number() -> None:
    assert lr(at_least=None).fault(-1e308) is None
    assert lr(at_least=None).fault(math.inf) is not None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"default": -1.0}, "-1.0 is below 0"),
        ({"search_low": -1.0}, "-1.0 is below 0"),
        ({"search_high": 3.0}, "3.0 is above 2"),
        ({"search_high": math.inf}, "not finite"),
        ({"search_low": 1.0}, "search range 1.0..1.0"),
        ({"search_low": 0.0}, "a log range starts above 0"),
    ],
)
def test_a_hyperparameter_refuses_a_range_that_cannot_be_searched(changed: dict[str, float], said: str) -> None:
    good = Hyperparameter(
        name="lr", summary="", default=0.1, at_least=0.0, at_most=2.0, search_low=1e-3, search_high=1.0
    )
    with pytest.raises(InvalidValueError, match=said):
        replace(good, **changed)


def test_a_linear_range_may_start_at_zero() -> None:
    found = Hyperparameter(name="momentum", default=0.9, summary="", search_low=0.0, search_high=0.99, log=False)
    assert found.fault(0.0) is None
