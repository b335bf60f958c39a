"""Draw the behaviour of L4 on a loss with a positive floor, without and with each guard.

Usage: python benchmarks/positive_floor.py [PATH]
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt
from torch.nn import Parameter

from l4 import L4Adam, L4Mom

STEPS = 2000
GUARDS: dict[str, dict[str, Any]] = {
    "as the paper": {},
    'loss_floor="estimate"': {"loss_floor": "estimate"},
    "loss_floor=1": {"loss_floor": 1.0},
    "max_eta=0.5": {"max_eta": 0.5},
}


def distances(cls: type[L4Mom] | type[L4Adam], guard: dict[str, Any]) -> list[float]:
    """Return |x| after each step on x^2/2 + 1 from x = 5."""
    x = Parameter(torch.tensor(5.0, dtype=torch.float64))
    optimizer = cls([x], **guard)
    trajectory: list[float] = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = x.square() / 2 + 1
        loss.backward()
        optimizer.step(loss=loss)
        trajectory.append(max(abs(x.item()), 1e-12))
    return trajectory


def main() -> None:
    """Print the largest and the last distance for each guard, and draw all."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/positive-floor.png")
    mpl.use("agg")
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for axis, cls in zip(axes, (L4Mom, L4Adam), strict=True):
        for name, guard in GUARDS.items():
            trajectory = distances(cls, guard)
            print(f"{cls.__name__:7} {name:24} largest |x| {max(trajectory):10.3g}   last {trajectory[-1]:10.3g}")
            axis.semilogy(trajectory, label=name, linewidth=0.8 if guard == {} else 1.6, zorder=1 if guard == {} else 2)
        axis.set_title(f"{cls.__name__} on x²/2 + 1")
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("|x|, distance from the minimum")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(GUARDS))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"drawn: {path}")


if __name__ == "__main__":
    main()
