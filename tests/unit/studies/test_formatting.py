import pytest

from studies.formatting import count, label, listing, number, probability, setting, signed


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "–"), (0.0, "0"), (0.000123456, "0.000123"), (1e-30, "1e-30"), (12345.0, "1.23e+04")]
)
def test_number(value: float | None, expected: str) -> None:
    assert number(value) == expected


def test_signed() -> None:
    assert (signed(0.5), signed(-2.0), signed(None)) == ("+0.5", "-2", "–")


def test_probability() -> None:
    assert (probability(0.00004), probability(0.0312), probability(None)) == ("< 0.001", "0.031", "–")


def test_names_become_words() -> None:
    assert label("train_loss") == "training loss"
    assert label("validation_accuracy") == "validation accuracy"
    assert label("effective_lr") == "effective learning rate"


def test_lists() -> None:
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert setting({"lr": 0.1, "momentum": 0.9}) == "lr = 0.1, momentum = 0.9"
    assert setting(None) == "–"


def test_counts() -> None:
    assert (count(1, "seed"), count(12000, "step")) == ("1 seed", "12,000 steps")
