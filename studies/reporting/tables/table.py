"""Tables of text cells, which every format renders alike."""

from dataclasses import dataclass

from studies.analysis.comparison import Interval, Verdict
from studies.formatting import metric

#: Signs tell verdicts apart without colour.
VERDICT_SIGNS = {
    Verdict.WIN: "▲",
    Verdict.LOSS: "▼",
    Verdict.TIE: "=",
    Verdict.UNDECIDED: "?",
    Verdict.INCOMPLETE: "…",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A table's cell.

    Args:
        text: The main text.
        lines: Lines below it, in small print.
        verdict: The verdict that the cell states; None in other cells.
    """

    text: str
    lines: tuple[str, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Args:
        caption: What the table shows, with units.
        headings: One a column.
        rows: Cells in the columns' order.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def interval_text(interval: Interval | None, prefix: str = "") -> str:
    """Return an interval as `[low, high]`, a dash for None.

    Args:
        interval: The interval.
        prefix: Text before it.
    """
    return "–" if interval is None else f"{prefix}[{metric(interval.low)}, {metric(interval.high)}]"
