"""The figure of tuning cost: best score so far against the steps spent, with untuned arms as level lines."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.analysis.arm_report import ArmReport
from studies.formatting import label
from studies.reporting.figures.style import (
    INK,
    ArmStyle,
    add_legend,
    arm_style,
    create_axes,
    padded_limits,
    set_log_axis,
)
from studies.reporting.report import WorkloadReport
from studies.spec.study import StudySpec

#: Legend entry besides the arms.
EXPECTED_BEST_LABEL = "expected best of k"


def draw_tuning_cost(spec: StudySpec, workload: WorkloadReport, ceiling: float) -> Figure | None:
    """Return a figure of the best score so far against the steps spent, None where nothing was searched.

    Args:
        spec: The study.
        workload: The workload's part of the report.
        ceiling: Losses above it are left out.
    """
    searched = [arm for arm in workload.arms if arm.search.ranges and arm.tuning.best_so_far]
    if not searched:
        return None
    objective, log = label(spec.protocol.objective), spec.objective.is_loss
    has_expected_best = any(arm.tuning.expected_best for arm in searched)
    labels = [*(arm.arm for arm in workload.arms), *((EXPECTED_BEST_LABEL,) if has_expected_best else ())]
    title = f"{workload.workload}: best score so far"
    figure, axes = create_axes(title, "steps spent on the search", f"best {objective} so far", labels)
    floor = spec.protocol.loss_floor if log else -math.inf
    total_steps = max(arm.tuning.best_so_far[-1].steps for arm in searched)
    plotted: list[float] = []
    for index, arm in enumerate(workload.arms):
        if arm in searched:
            plotted += _draw(axes, arm, arm_style(index), floor, ceiling if log else math.inf, total_steps)
        else:
            plotted += _draw_level(axes, arm, arm_style(index), floor)
    if has_expected_best:
        axes.plot([], [], color=INK, linewidth=0.9, linestyle=(0, (1, 2)), label=EXPECTED_BEST_LABEL)
    axes.set_xlim(0, 1.03 * total_steps)
    if log:
        set_log_axis(axes, "y", *padded_limits(plotted))
    add_legend(figure, labels)
    return figure


def _draw(axes: Axes, arm: ArmReport, style: ArmStyle, floor: float, ceiling: float, total_steps: int) -> list[float]:
    """Draw a searched arm, and return the plotted scores."""
    points = [(best.steps, max(best.score, floor)) for best in arm.tuning.best_so_far if best.score is not None]
    inside = [(steps, score) for steps, score in points if score <= ceiling]
    steps, scores = [steps for steps, _ in inside], [score for _, score in inside]
    axes.plot(
        [*steps, total_steps] if steps else [],
        [*scores, scores[-1]] if scores else [],
        label=arm.arm,
        color=style.colour,
        linestyle=style.dash,
        linewidth=1.4,
        drawstyle="steps-post",
        marker=style.marker,
        markersize=3.2,
        markevery=range(len(steps)),
    )
    steps_per_trial = arm.tuning_cost.steps / len(arm.search.trials)
    mean = [
        (expected.trials * steps_per_trial, max(expected.mean, floor))
        for expected in arm.tuning.expected_best
        if expected.mean is not None and expected.mean <= ceiling
    ]
    axes.plot([x for x, _ in mean], [y for _, y in mean], color=style.colour, linewidth=0.9, linestyle=(0, (1, 2)))
    return [*scores, *(y for _, y in mean)]


def _draw_level(axes: Axes, arm: ArmReport, style: ArmStyle, floor: float) -> list[float]:
    """Draw an untuned arm as a level line, and return its score."""
    axes.plot([], [], label=arm.arm, color=style.colour, linestyle=style.dash, linewidth=1.8)
    if arm.search_score is None:
        return []
    level = max(arm.search_score, floor)
    axes.axhline(level, color=style.colour, linestyle=style.dash, linewidth=1.8)
    return [level]
