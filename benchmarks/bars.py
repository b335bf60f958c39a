"""The picture of a throughput table: each workload's rates beside the eager loop's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

EAGER, COMPILED, OURS = "#9aa0a6", "#d08c2e", "#2b6cb0"


@dataclass(frozen=True, kw_only=True)
class Bars:
    """A workload's bars.

    Args:
        workload: Its name.
        compiled: Rate of PyTorch's loop with a compiled model, as a multiple of the eager loop's.
        ours: Rate of our packs, likewise.
        asked: The least that is asked of them, likewise.
        how: The packs, in words.
    """

    workload: str
    compiled: float
    ours: float
    asked: float
    how: str


def draw(found: Sequence[Bars], file: Path) -> None:
    """Write the picture.

    Args:
        found: From top to bottom.
        file: An SVG file.
    """
    figure = Figure(figsize=(8, 0.9 + 0.75 * len(found)), layout="constrained")
    axes = figure.add_subplot()
    for row, bars in enumerate(found):
        axes.barh(row - 0.2, bars.compiled, 0.36, color=COMPILED, label="its model compiled" if row == 0 else None)
        axes.barh(row + 0.2, bars.ours, 0.36, color=OURS, label="our packs" if row == 0 else None)
        axes.plot([bars.asked] * 2, [row, row + 0.4], color="black", lw=1.2, label="asked for" if row == 0 else None)
        axes.text(
            max(bars.ours, bars.asked) * 1.03, row + 0.2, f"{bars.ours:.3g}  ({bars.how})", va="center", fontsize=8
        )
        axes.text(bars.compiled * 1.03, row - 0.2, f"{bars.compiled:.2g}", va="center", fontsize=8)
    axes.axvline(1, color=EAGER, linewidth=1.6, label="PyTorch's eager loop")
    axes.set_xscale("log")
    axes.set_xlim(0.4, 3.2 * max(bars.ours for bars in found))
    axes.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_yticks(range(len(found)), [bars.workload for bars in found])
    axes.invert_yaxis()
    axes.set_xlabel("steps of runs a second, PyTorch's eager loop = 1")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
