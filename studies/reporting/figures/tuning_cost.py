"""What tuning bought: the best score so far against the steps spent on it, with the arms that are not tuned."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.analysis.arm_report import ArmReport
from studies.formatting import label
from studies.reporting.figures.style import INK, Look, legend, log_axis, look, new_axes, padded
from studies.reporting.report import WorkloadReport
from studies.spec.study import StudySpec

#: What the legend explains besides the arms.
EXPECTED = "expected best of k"


def cost_curve(spec: StudySpec, workload: WorkloadReport, ceiling: float) -> Figure | None:
    """Return a picture of the best score so far against the steps spent, None where nothing was searched.

    Args:
        spec: The study.
        workload: The workload's part of the report.
        ceiling: Losses above it have no place.
    """
    searched = [arm for arm in workload.arms if arm.search.ranges and arm.tuning.best_so_far]
    if not searched:
        return None
    objective, log = label(spec.protocol.objective), spec.objective.is_loss
    drawn = any(arm.tuning.expected_best for arm in searched)
    labels = [*(arm.arm for arm in workload.arms), *((EXPECTED,) if drawn else ())]
    title = f"{workload.workload}: best score so far"
    figure, axes = new_axes(title, "steps spent on the search", f"best {objective} so far", labels)
    floor = spec.protocol.loss_floor if log else -math.inf
    most = max(arm.tuning.best_so_far[-1].steps for arm in searched)
    shown: list[float] = []
    for place, arm in enumerate(workload.arms):
        if arm in searched:
            shown += _draw(axes, arm, look(place), floor, ceiling if log else math.inf, most)
        else:
            shown += _draw_level(axes, arm, look(place), floor)
    if drawn:
        axes.plot([], [], color=INK, linewidth=0.9, linestyle=(0, (1, 2)), label=EXPECTED)
    axes.set_xlim(0, 1.03 * most)
    if log:
        log_axis(axes, "y", *padded(shown))
    legend(figure, labels)
    return figure


def _draw(axes: Axes, arm: ArmReport, style: Look, floor: float, ceiling: float, most: int) -> list[float]:
    """Draw an arm that is searched, and return where."""
    found = [(each.steps, max(each.score, floor)) for each in arm.tuning.best_so_far if each.score is not None]
    inside = [(steps, score) for steps, score in found if score <= ceiling]
    steps, scores = [each for each, _ in inside], [each for _, each in inside]
    axes.plot(
        [*steps, most] if steps else [],
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
    each_trial = arm.tuning_cost.steps / len(arm.search.trials)
    mean = [
        (each.trials * each_trial, max(each.mean, floor))
        for each in arm.tuning.expected_best
        if each.mean is not None and each.mean <= ceiling
    ]
    axes.plot([x for x, _ in mean], [y for _, y in mean], color=style.colour, linewidth=0.9, linestyle=(0, (1, 2)))
    return [*scores, *(y for _, y in mean)]


def _draw_level(axes: Axes, arm: ArmReport, style: Look, floor: float) -> list[float]:
    """Draw an arm that is not tuned as a level line, and return where."""
    axes.plot([], [], label=arm.arm, color=style.colour, linestyle=style.dash, linewidth=1.8)
    if arm.search_score is None:
        return []
    level = max(arm.search_score, floor)
    axes.axhline(level, color=style.colour, linestyle=style.dash, linewidth=1.8)
    return [level]
