"""How an arm's score depends on a searched hyperparameter, with the setting that was chosen."""

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform, blended_transform_factory

from studies.analysis.arm_report import ArmReport
from studies.formatting import label
from studies.reporting.figures.style import INK, Look, legend, log_axis, look, new_axes, padded
from studies.reporting.report import WorkloadReport
from studies.spec.study import SearchRange, StudySpec

#: Where a value of the objective is drawn, None where it has no place on the axis.
Shown = Callable[[float | None], float | None]
#: Height of an arm's range bar and of all of them together at most, as shares of the axes.
BAR, BARS = 0.035, 0.3
#: Where trials that diverged or are off the scale are marked, as a share of the axes.
TOP = 0.97
#: Of more trials of an arm the lowest and the highest of each part are drawn, in about so many points.
MOST_POINTS = 400
#: What the legend explains besides the arms: marker, its size, width of the line.
KEY = {
    "chosen": ("*", 9, 0),
    "confirm seed": (".", 5, 0),
    "off the scale": ("x", 5, 0),
    "range searched": ("|-", 6, 1),
}


def sensitivity(spec: StudySpec, workload: WorkloadReport, name: str, ceiling: float) -> Figure:
    """Return a picture of the scores of every search against one hyperparameter.

    Args:
        spec: The study.
        workload: The workload's part of the report.
        name: The hyperparameter; arms that do not search it are horizontal lines.
        ceiling: Losses above it are off the scale.
    """
    objective = label(spec.protocol.objective)
    labels = [*(arm.arm for arm in workload.arms), *KEY]
    figure, axes = new_axes(f"{workload.workload}: score against {label(name)}", label(name), objective, labels)
    shown = partial(_shown, spec, ceiling)
    searching = [arm for arm in workload.arms if name in arm.search.ranges]
    bar = min(BAR, BARS / len(searching))
    for place, arm in enumerate(workload.arms):
        if arm in searching:
            _draw_scores(axes, arm, name, look(place), shown)
            _draw_range(axes, arm.search.ranges[name], look(place), (0.5 + searching.index(arm)) * bar)
        else:
            _draw_level(axes, arm, look(place), shown)
    if all(arm.search.ranges[name].log for arm in searching):
        log_axis(axes, "x", *padded([end for arm in searching for end in _ends(arm.search.ranges[name])]))
    _limit_scores(axes, workload.arms, spec.objective.is_loss, shown, (1 + len(searching)) * bar)
    for text, (marker, size, width) in KEY.items():
        axes.plot([], [], marker, color=INK, markersize=size, linewidth=width, label=text)
    legend(figure, labels)
    return figure


def thinned(points: Sequence[tuple[float, float | None]]) -> Sequence[tuple[float, float | None]]:
    """Return points as they are, or of many the lowest and the highest of neighbours, and one that has no place.

    Args:
        points: In order of x; y is None where it has no place on the axis.
    """
    if len(points) <= MOST_POINTS:
        return points
    size = -(-len(points) // (MOST_POINTS // 2))
    found: list[tuple[float, float | None]] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        inside = sorted(((y, x) for x, y in part if y is not None))
        found += [(x, y) for y, x in (inside[:1] + inside[-1:] if len(inside) > 1 else inside)]
        found += [(x, y) for x, y in part if y is None][:1]
    return sorted(found, key=lambda point: point[0])


def _shown(spec: StudySpec, ceiling: float, value: float | None) -> float | None:
    """Return where a value of the objective is drawn, None where it has no place on the axis."""
    if value is None or not spec.objective.is_loss:
        return value
    return max(value, spec.protocol.loss_floor) if value <= ceiling else None


def _draw_scores(axes: Axes, arm: ArmReport, name: str, style: Look, shown: Shown) -> None:
    whole = [trial for trial in arm.search.trials if not trial.stopped]
    trials = sorted(whole, key=lambda trial: trial.setting[name])
    points = thinned([(trial.setting[name], shown(trial.score)) for trial in trials])
    inside = [(x, y) for x, y in points if y is not None]
    axes.plot(
        [x for x, _ in inside],
        [y for _, y in inside],
        label=arm.arm,
        color=style.colour,
        # with several searched hyperparameters neighbours here are no neighbours, and no line joins them
        linestyle=style.dash if len(arm.search.ranges) == 1 else "none",
        linewidth=1.3,
        marker=style.marker,
        markersize=3.5,
    )
    outside = [x for x, y in points if y is None]
    axes.plot(outside, [TOP] * len(outside), "x", color=style.colour, markersize=5, transform=_across(axes))
    if arm.setting is not None:
        chosen, score = arm.setting[name], shown(arm.search_score)
        finals = [y for seed in arm.seeds if (y := shown(seed.objective)) is not None]
        axes.plot([chosen] * len(finals), finals, ".", color=style.colour, alpha=0.55, markersize=4)
        axes.plot([] if score is None else [chosen], [] if score is None else [score], "*", color=style.colour, ms=11)


def _draw_range(axes: Axes, searched: SearchRange, style: Look, height: float) -> None:
    transform = _across(axes)
    axes.plot(_ends(searched), (height, height), "|-", color=style.colour, lw=1, ms=5, transform=transform)


def _draw_level(axes: Axes, arm: ArmReport, style: Look, shown: Shown) -> None:
    levels = [y for trial in arm.search.trials if (y := shown(trial.score)) is not None]
    axes.plot([], [], label=arm.arm, color=style.colour, linestyle=style.dash, linewidth=1.6)
    for level in levels[:1]:
        axes.axhline(level, color=style.colour, linestyle=style.dash, linewidth=1.6)


def _limit_scores(axes: Axes, arms: Sequence[ArmReport], log: bool, shown: Shown, bars: float) -> None:
    """Set the limits of the scores, with room for the range bars below and the trials off the scale above."""
    values = [y for arm in arms for trial in arm.search.trials if (y := shown(trial.score)) is not None]
    values += [y for arm in arms for seed in arm.seeds if (y := shown(seed.objective)) is not None]
    above = 0.1
    below = 0.05 + bars * (1 + above) / (1 - bars)
    if log:
        log_axis(axes, "y", *padded(values, below=below, above=above))
    elif values:
        span = max(values) - min(values) or max(abs(max(values)), 1.0)
        axes.set_ylim(min(values) - below * span, max(values) + above * span)


def _ends(searched: SearchRange) -> tuple[float, float]:
    return searched.low, searched.high


def _across(axes: Axes) -> Transform:
    """Return the transform of data from left to right and of shares of the axes from bottom to top."""
    return blended_transform_factory(axes.transData, axes.transAxes)
