"""The bar chart of the throughput benchmark: each workload's rates relative to the eager loop's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

EAGER, COMPILED, OURS = "#9aa0a6", "#d08c2e", "#2b6cb0"


@dataclass(frozen=True, kw_only=True)
class RelativeRates:
    """A workload's rates relative to the eager loop's.

    Args:
        workload: Its name.
        compiled: Rate of PyTorch's loop with a compiled model, as a multiple of the eager loop's.
        ours: Rate of our packs, likewise.
        required: Least rate required of them, likewise.
        label: Lanes and mode of the packs.
    """

    workload: str
    compiled: float
    ours: float
    required: float
    label: str


def draw_chart(rows: Sequence[RelativeRates], file: Path) -> None:
    """Draw the chart into a file.

    Args:
        rows: Workloads from top to bottom.
        file: An SVG file.
    """
    figure = Figure(figsize=(8, 0.9 + 0.75 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for row, rates in enumerate(rows):
        axes.barh(row - 0.2, rates.compiled, 0.36, color=COMPILED, label="its model compiled" if row == 0 else None)
        axes.barh(row + 0.2, rates.ours, 0.36, color=OURS, label="our packs" if row == 0 else None)
        axes.plot(
            [rates.required] * 2, [row, row + 0.4], color="black", lw=1.2, label="asked for" if row == 0 else None
        )
        axes.text(
            max(rates.ours, rates.required) * 1.03,
            row + 0.2,
            f"{rates.ours:.3g}  ({rates.label})",
            va="center",
            fontsize=8,
        )
        axes.text(rates.compiled * 1.03, row - 0.2, f"{rates.compiled:.2g}", va="center", fontsize=8)
    axes.axvline(1, color=EAGER, linewidth=1.6, label="PyTorch's eager loop")
    axes.set_xscale("log")
    axes.set_xlim(0.4, 3.2 * max(rates.ours for rates in rows))
    axes.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), [rates.workload for rates in rows])
    axes.invert_yaxis()
    axes.set_xlabel("steps of runs a second, PyTorch's eager loop = 1")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
