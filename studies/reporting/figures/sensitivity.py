"""The figure of scores against a searched hyperparameter, with the chosen setting."""

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform, blended_transform_factory

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
from studies.spec.study import SearchRange, StudySpec

#: Maps a value of the objective to the axis, None if off the scale.
PlotValue = Callable[[float | None], float | None]
#: Height of an arm's range bar, and maximal height of all together, as shares of the axes.
BAR_HEIGHT, MAX_BARS_HEIGHT = 0.035, 0.3
#: Height at which trials off the scale are marked, as a share of the axes.
OFF_SCALE_HEIGHT = 0.97
#: Approximate maximum of points drawn of an arm; see `thin_points`.
MAX_POINTS = 400
#: Legend entries besides the arms: marker, marker size, line width.
LEGEND_ENTRIES = {
    "chosen": ("*", 9, 0),
    "confirm seed": (".", 5, 0),
    "off the scale": ("x", 5, 0),
    "range searched": ("|-", 6, 1),
}


def draw_sensitivity(spec: StudySpec, workload: WorkloadReport, name: str, ceiling: float) -> Figure:
    """Return a figure of the scores of every search against one hyperparameter.

    Args:
        spec: The study.
        workload: The workload's part of the report.
        name: The hyperparameter; arms that do not search it are horizontal lines.
        ceiling: Losses above it are off the scale.
    """
    objective = label(spec.protocol.objective)
    labels = [*(arm.arm for arm in workload.arms), *LEGEND_ENTRIES]
    figure, axes = create_axes(f"{workload.workload}: score against {label(name)}", label(name), objective, labels)
    plot_value = partial(_plot_value, spec, ceiling)
    searching = [arm for arm in workload.arms if name in arm.search.ranges]
    bar = min(BAR_HEIGHT, MAX_BARS_HEIGHT / len(searching))
    for index, arm in enumerate(workload.arms):
        if arm in searching:
            _draw_scores(axes, arm, name, arm_style(index), plot_value)
            _draw_range(axes, arm.search.ranges[name], arm_style(index), (0.5 + searching.index(arm)) * bar)
        else:
            _draw_level_line(axes, arm, arm_style(index), plot_value)
    if all(arm.search.ranges[name].log for arm in searching):
        set_log_axis(axes, "x", *padded_limits([end for arm in searching for end in _ends(arm.search.ranges[name])]))
    _limit_scores(axes, workload.arms, spec.objective.is_loss, plot_value, (1 + len(searching)) * bar)
    for text, (marker, size, width) in LEGEND_ENTRIES.items():
        axes.plot([], [], marker, color=INK, markersize=size, linewidth=width, label=text)
    add_legend(figure, labels)
    return figure


def thin_points(points: Sequence[tuple[float, float | None]]) -> Sequence[tuple[float, float | None]]:
    """Return the points; of many, the lowest, the highest and one off the scale of each group of neighbours.

    Args:
        points: In order of x; y is None if off the scale.
    """
    if len(points) <= MAX_POINTS:
        return points
    size = -(-len(points) // (MAX_POINTS // 2))
    kept: list[tuple[float, float | None]] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        inside = sorted(((y, x) for x, y in part if y is not None))
        kept += [(x, y) for y, x in (inside[:1] + inside[-1:] if len(inside) > 1 else inside)]
        kept += [(x, y) for x, y in part if y is None][:1]
    return sorted(kept, key=lambda point: point[0])


def _plot_value(spec: StudySpec, ceiling: float, value: float | None) -> float | None:
    """Return the value to plot for a value of the objective, None if off the scale."""
    if value is None or not spec.objective.is_loss:
        return value
    return max(value, spec.protocol.loss_floor) if value <= ceiling else None


def _draw_scores(axes: Axes, arm: ArmReport, name: str, style: ArmStyle, plot_value: PlotValue) -> None:
    completed = [trial for trial in arm.search.trials if not trial.stopped]
    trials = sorted(completed, key=lambda trial: trial.setting[name])
    points = thin_points([(trial.setting[name], plot_value(trial.score)) for trial in trials])
    inside = [(x, y) for x, y in points if y is not None]
    axes.plot(
        [x for x, _ in inside],
        [y for _, y in inside],
        label=arm.arm,
        color=style.colour,
        # with several searched hyperparameters points next to each other differ in the others, so no line joins them
        linestyle=style.dash if len(arm.search.ranges) == 1 else "none",
        linewidth=1.3,
        marker=style.marker,
        markersize=3.5,
    )
    outside = [x for x, y in points if y is None]
    axes.plot(
        outside,
        [OFF_SCALE_HEIGHT] * len(outside),
        "x",
        color=style.colour,
        markersize=5,
        transform=_data_by_axes_transform(axes),
    )
    if arm.setting is not None:
        chosen, score = arm.setting[name], plot_value(arm.search_score)
        finals = [y for seed in arm.seeds if (y := plot_value(seed.objective)) is not None]
        axes.plot([chosen] * len(finals), finals, ".", color=style.colour, alpha=0.55, markersize=4)
        axes.plot([] if score is None else [chosen], [] if score is None else [score], "*", color=style.colour, ms=11)


def _draw_range(axes: Axes, search_range: SearchRange, style: ArmStyle, height: float) -> None:
    transform = _data_by_axes_transform(axes)
    axes.plot(_ends(search_range), (height, height), "|-", color=style.colour, lw=1, ms=5, transform=transform)


def _draw_level_line(axes: Axes, arm: ArmReport, style: ArmStyle, plot_value: PlotValue) -> None:
    levels = [y for trial in arm.search.trials if (y := plot_value(trial.score)) is not None]
    axes.plot([], [], label=arm.arm, color=style.colour, linestyle=style.dash, linewidth=1.6)
    for level in levels[:1]:
        axes.axhline(level, color=style.colour, linestyle=style.dash, linewidth=1.6)


def _limit_scores(axes: Axes, arms: Sequence[ArmReport], log: bool, plot_value: PlotValue, bars: float) -> None:
    """Set the limits of the scores, with room for the range bars below and the trials off the scale above."""
    values = [y for arm in arms for trial in arm.search.trials if (y := plot_value(trial.score)) is not None]
    values += [y for arm in arms for seed in arm.seeds if (y := plot_value(seed.objective)) is not None]
    above = 0.1
    below = 0.05 + bars * (1 + above) / (1 - bars)
    if log:
        set_log_axis(axes, "y", *padded_limits(values, below=below, above=above))
    elif values:
        span = max(values) - min(values) or max(abs(max(values)), 1.0)
        axes.set_ylim(min(values) - below * span, max(values) + above * span)


def _ends(search_range: SearchRange) -> tuple[float, float]:
    return search_range.low, search_range.high


def _data_by_axes_transform(axes: Axes) -> Transform:
    """Return the transform with data coordinates in x and shares of the axes in y."""
    return blended_transform_factory(axes.transData, axes.transAxes)
