"""The look of the report's pictures: palette, axes, legends, and SVG that stands alone in light and dark."""

import io
import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import RcKeyType

#: Told apart by people with colour blindness (after Okabe & Ito), each at 3:1 or more against white and near-black.
COLOURS = ("#2b7bba", "#d55e00", "#0a9470", "#b8609a", "#a97a00", "#7a6fd0", "#808080")
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
#: Drawn in place of the text's colour, which the reader's theme decides.
INK = "#010203"
WIDTH = 4.5
#: Dots an inch of a PNG, so that it is about 700 wide.
PNG_DPI = 160
HEIGHT = 2.9
LEGEND_ROW = 0.19
#: Characters that fit beside each other in a legend, and what an entry takes besides its text.
LEGEND_CHARACTERS = 58
ENTRY_CHARACTERS = 8

#: Fonts of the reader's system; they run narrower than the one that text is measured with.
FONTS = "system-ui, -apple-system, Roboto, Arial, sans-serif"
THEME = (
    "<style>.picture{color:#1f2328;color-scheme:light dark}.picture *{stroke-linejoin:round;stroke-linecap:butt}"
    "@media (prefers-color-scheme:dark){.picture{color:#d7dde4}}</style>"
)
STYLE: dict[RcKeyType, Any] = {
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
class Look:
    """How an arm is drawn, the same in every picture of a report.

    Args:
        colour: Of its lines and points.
        dash: Of its lines.
        marker: Of its points.
    """

    colour: str
    dash: str | tuple[int, tuple[float, ...]]
    marker: str


def look(index: int) -> Look:
    """Return how the arm at that place in the spec is drawn.

    Args:
        index: Counts from 0.
    """
    return Look(
        colour=COLOURS[index % len(COLOURS)],
        dash=DASHES[index % len(DASHES)],
        marker=MARKERS[index % len(MARKERS)],
    )


def new_axes(title: str, x: str, y: str, labels: Sequence[str]) -> tuple[Figure, Axes]:
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


def legend(figure: Figure, labels: Sequence[str]) -> None:
    """Put the legend of everything that was labelled below the axes.

    Args:
        figure: The figure.
        labels: The legend's, as given to `new_axes`.
    """
    found = figure.legend(loc="outside lower left", ncols=legend_columns(labels), frameon=False, handlelength=2.6)
    for text in found.get_texts():
        text.set_text(legend_text(text.get_text()))


def log_axis(axes: Axes, which: Literal["x", "y"], low: float, high: float) -> None:
    """Make an axis logarithmic with few, plainly written ticks.

    Args:
        axes: Where.
        which: Its x or y axis.
        low: Lower limit, positive.
        high: Upper limit, above it.
    """
    axes.set(**{f"{which}lim": (low, high)})  # before the scale, which would else look for limits of its own
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
    return power(value)


def power(value: float) -> str:
    """Return a tick of a logarithmic axis in plain characters.

    Args:
        value: Positive.

    Example:
        >>> power(2e-7)
        '2·10⁻⁷'
    """
    if 1e-3 <= value < 1e4:
        return f"{value:.4g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    raised = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    return raised if float(mantissa) == 1 else f"{float(mantissa):g}·{raised}"


def padded(values: Sequence[float], *, below: float = 0.05, above: float = 0.05) -> tuple[float, float]:
    """Return limits of a logarithmic axis around values.

    Args:
        values: Those positive and finite count.
        below: Share of the decades left free below.
        above: Share of the decades left free above.
    """
    # so far from the ends of floating point there is room for the shares and for matplotlib's own margins
    logs = [min(max(math.log10(value), -290.0), 290.0) for value in values if 0 < value < math.inf]
    low, high = (min(logs), max(logs)) if logs else (-1.0, 0.0)
    span = max(high - low, 0.3)
    return 10.0 ** max(low - below * span - 0.02, -300.0), 10.0 ** min(high + above * span + 0.02, 300.0)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG on white, the same bytes for the same figure and version of matplotlib.

    Args:
        figure: The figure, which `svg` has laid out.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.set_layout_engine("none")  # it is laid out already, and that takes as long as drawing it
        figure.savefig(buffer, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure, name: str, description: str) -> str:
    """Return a figure as SVG text that has its theme in it, the same text for the same figure.

    Args:
        figure: The figure.
        name: Unique within a report; it salts the ids inside.
        description: What is seen, for readers who cannot see it.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = re.sub(r"^.*?(?=<svg )", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # unlike those of clip paths and markers they repeat between figures
    text = re.sub(r' width="[^"]*pt" height="[^"]*pt"', "", text, count=1)
    text = re.sub(r"\s*<defs>\s*<style.*?</defs>", THEME, text, count=1, flags=re.DOTALL)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = text.replace("font-family: 'DejaVu Sans', sans-serif", f"font-family: {FONTS}").replace(INK, "currentColor")
    text = text.replace("xlink:href", "href").replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    return text.replace("<svg", f'<svg class="picture" role="img" aria-label={quoteattr(description)}', 1)
