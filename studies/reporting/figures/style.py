"""The style of the report's figures: palette, fonts, axes, legends."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import RcKeyType

#: Distinguishable with colour blindness (after Okabe & Ito), with a contrast of at least 3:1 to white and near-black.
COLOURS = ("#2b7bba", "#d55e00", "#0a9470", "#b8609a", "#a97a00", "#7a6fd0", "#808080")
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
#: Placeholder for the text's colour, which the reader's theme decides.
INK = "#010203"
WIDTH = 4.5
HEIGHT = 2.9
LEGEND_ROW = 0.19
#: Characters that fit in a row of a legend, and those that an entry takes besides its text.
LEGEND_CHARACTERS = 58
ENTRY_CHARACTERS = 8
RC_PARAMS: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "legend.fontsize": 8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "path.simplify": False,
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, kw_only=True)
class ArmStyle:
    """How an arm is drawn, the same in every figure of a report.

    Args:
        colour: Of its lines and points.
        dash: Of its lines.
        marker: Of its points.
    """

    colour: str
    dash: str | tuple[int, tuple[float, ...]]
    marker: str


def arm_style(index: int) -> ArmStyle:
    """Return the style of the arm at an index of the spec.

    Args:
        index: Counts from 0.
    """
    return ArmStyle(
        colour=COLOURS[index % len(COLOURS)],
        dash=DASHES[index % len(DASHES)],
        marker=MARKERS[index % len(MARKERS)],
    )


def create_axes(title: str, x: str, y: str, labels: Sequence[str]) -> tuple[Figure, Axes]:
    """Return an empty figure, high enough for a legend of these labels, and its axes.

    Args:
        title: Above the axes.
        x: Label of the x axis, with the unit.
        y: Label of the y axis, with the unit.
        labels: The legend's.
    """
    rows = math.ceil(len(labels) / legend_columns(labels))
    lines = max(legend_text(label).count("\n") + 1 for label in labels)
    figure = Figure(figsize=(WIDTH, HEIGHT + LEGEND_ROW * rows * lines), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_axisbelow(True)
    return figure, axes


def legend_columns(labels: Sequence[str]) -> int:
    """Return how many legend entries fit beside each other.

    Args:
        labels: The legend's, at least one.
    """
    longest = max(len(label) for label in labels)
    return max(1, min(len(labels), LEGEND_CHARACTERS // (longest + ENTRY_CHARACTERS)))


def legend_text(label: str) -> str:
    """Return a label of the legend, broken where it is longer than a line.

    Args:
        label: The label.
    """
    return textwrap.fill(label, LEGEND_CHARACTERS - ENTRY_CHARACTERS)


def add_legend(figure: Figure, labels: Sequence[str]) -> None:
    """Add a legend of everything labelled, below the axes.

    Args:
        figure: The figure.
        labels: The legend's, as given to `new_axes`.
    """
    legend = figure.legend(loc="outside lower left", ncols=legend_columns(labels), frameon=False, handlelength=2.6)
    for text in legend.get_texts():
        text.set_text(legend_text(text.get_text()))


def set_log_axis(axes: Axes, which: Literal["x", "y"], low: float, high: float) -> None:
    """Make an axis logarithmic, with few ticks in plain notation.

    Args:
        axes: The axes.
        which: The x or the y axis.
        low: Lower limit, positive.
        high: Upper limit, above it.
    """
    axes.set(**{f"{which}lim": (low, high)})  # before the scale, which would otherwise compute limits of its own
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    decades = math.log10(high) - math.log10(low)
    if decades > 2:
        # with an integer stride of decades the ticks lie on powers of ten
        stride = max(1, math.ceil(decades / 6))
        first = math.ceil(math.log10(low) / stride) * stride
        axis.set_major_locator(FixedLocator([10.0**e for e in range(first, math.floor(math.log10(high)) + 1, stride)]))
    elif decades > 0.7:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    else:
        axis.set_major_locator(MaxNLocator(5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_tick))
    axis.set_minor_formatter(NullFormatter())


def _tick(value: float, _: int | None) -> str:
    return format_power(value)


def format_power(value: float) -> str:
    """Return a tick of a logarithmic axis in plain characters.

    Args:
        value: Positive.

    Example:
        >>> format_power(2e-7)
        '2·10⁻⁷'
    """
    if 1e-3 <= value < 1e4:
        return f"{value:.4g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    raised = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    return raised if float(mantissa) == 1 else f"{float(mantissa):g}·{raised}"


def padded_limits(values: Sequence[float], *, below: float = 0.05, above: float = 0.05) -> tuple[float, float]:
    """Return limits of a logarithmic axis around values.

    Args:
        values: The values; only positive and finite ones count.
        below: Share of the decades left free below.
        above: Share of the decades left free above.
    """
    # far enough from the limits of floating point for the shares and matplotlib's own margins
    logs = [min(max(math.log10(value), -290.0), 290.0) for value in values if 0 < value < math.inf]
    low, high = (min(logs), max(logs)) if logs else (-1.0, 0.0)
    span = max(high - low, 0.3)
    return 10.0 ** max(low - below * span - 0.02, -300.0), 10.0 ** min(high + above * span + 0.02, 300.0)
