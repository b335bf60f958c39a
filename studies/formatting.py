"""How the report writes numbers, settings and names, the same in every form."""

from collections.abc import Mapping, Sequence


def number(value: float | None) -> str:
    """Return a number with three significant digits, a dash for None.

    Args:
        value: The number.

    Example:
        >>> number(0.00012345)
        '0.000123'
    """
    return "–" if value is None else f"{value:.3g}"


def signed(value: float | None) -> str:
    """Return a number with its sign and three significant digits, a dash for None.

    Args:
        value: The number.
    """
    return "–" if value is None else f"{value:+.3g}"


def metric(value: float | None) -> str:
    """Return a metric with four significant digits, a dash for None.

    Args:
        value: The number.
    """
    return "–" if value is None else f"{value:.4g}"


def probability(value: float | None) -> str:
    """Return a p-value to two digits, a dash for None.

    Args:
        value: Between 0 and 1.
    """
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def label(name: str) -> str:
    """Return a measured quantity's name in words.

    Args:
        name: As in `test_accuracy`.
    """
    return name.replace("_", " ").replace("train loss", "training loss").replace("lr", "learning rate")


def setting(values: Mapping[str, float] | None) -> str:
    """Return hyperparameters as `lr = 0.1, momentum = 0.9`, a dash for None.

    Args:
        values: By name.
    """
    return "–" if values is None else ", ".join(f"{name} = {value:.4g}" for name, value in values.items())


def listing(names: Sequence[str]) -> str:
    """Return names as `a`, `a and b` or `a, b and c`.

    Args:
        names: At least one.
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def count(amount: int, thing: str) -> str:
    """Return an amount with its noun, as `1 seed` or `2,000 steps`.

    Args:
        amount: How many.
        thing: The noun in the singular; its plural ends in s.
    """
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in the unit that fits it.

    Args:
        seconds: Not negative.

    Example:
        >>> duration(7.25), duration(754), duration(86_400)
        ('7.2 s', '12.6 min', '24.0 h')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
