"""How an arm's score depends on a searched hyperparameter, with the setting that was chosen."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from studies.arm_report import ArmReport, TrialScore
from studies.compare import is_loss
from studies.drawing import INK, Look, legend, log_axis, look, new_axes, padded
from studies.report import WorkloadReport
from studies.spec import StudySpec
from studies.wording import label

#: Height of an arm's range bar, as a share of the axes.
BAR = 0.035
#: Where diverged trials are marked, as a share of the axes.
TOP = 0.97
#: What the legend explains besides the arms: marker, its size, width of the line.
KEY = {"chosen": ("*", 9, 0), "confirm seed": (".", 5, 0), "diverged": ("x", 5, 0), "range searched": ("|-", 6, 1)}


def sensitivity(spec: StudySpec, workload: WorkloadReport, name: str) -> Figure:
    """Return a picture of the scores of every search against one hyperparameter.

    Args:
        spec: The study.
        workload: The workload's part of the report.
        name: The hyperparameter; arms that do not search it are horizontal lines.
    """
    objective = label(spec.protocol.objective)
    labels = [*(arm.arm for arm in workload.arms), *KEY]
    figure, axes = new_axes(f"{workload.workload}: score against {label(name)}", label(name), objective, labels)
    searching = [arm for arm in workload.arms if name in arm.search.ranges]
    for place, arm in enumerate(workload.arms):
        if name in arm.search.ranges:
            _draw_search(axes, arm, name, look(place), (0.5 + searching.index(arm)) * BAR)
        else:
            _draw_level(axes, arm, look(place))
    _limit(spec, axes, workload.arms, name, (1 + len(searching)) * BAR)
    _add_key(axes)
    legend(figure, labels)
    return figure


def _draw_search(axes: Axes, arm: ArmReport, name: str, style: Look, height: float) -> None:
    trials = sorted(arm.search.trials, key=lambda trial: trial.setting[name])
    scored = [(trial.setting[name], trial.score) for trial in trials if trial.score is not None]
    # with several searched hyperparameters neighbours here are no neighbours, and no line joins them
    dash = style.dash if len(arm.search.ranges) == 1 else "none"
    axes.plot(
        [x for x, _ in scored],
        [y for _, y in scored],
        label=arm.arm,
        color=style.colour,
        linestyle=dash,
        linewidth=1.3,
        marker=style.marker,
        markersize=3.5,
    )
    low, high = arm.search.ranges[name].low, arm.search.ranges[name].high
    bottom = blended_transform_factory(axes.transData, axes.transAxes)
    axes.plot([low, high], [height, height], "|-", color=style.colour, linewidth=1, markersize=5, transform=bottom)
    diverged = [trial.setting[name] for trial in trials if trial.score is None]
    axes.plot(diverged, [TOP] * len(diverged), "x", color=style.colour, markersize=5, transform=bottom, clip_on=False)
    if arm.setting is not None:
        _draw_choice(axes, arm, arm.setting[name], style)


def _draw_choice(axes: Axes, arm: ArmReport, chosen: float, style: Look) -> None:
    finals = [seed.objective for seed in arm.seeds if seed.objective is not None]
    axes.plot([chosen] * len(finals), finals, ".", color=style.colour, alpha=0.55, markersize=4)
    if arm.search_score is not None:
        axes.plot([chosen], [arm.search_score], "*", color=style.colour, markersize=11, zorder=3)


def _draw_level(axes: Axes, arm: ArmReport, style: Look) -> None:
    scores = [trial.score for trial in arm.search.trials if trial.score is not None]
    axes.plot([], [], label=arm.arm, color=style.colour, linestyle=style.dash, linewidth=1.6)
    if scores:
        axes.axhline(scores[0], color=style.colour, linestyle=style.dash, linewidth=1.6)


def _limit(spec: StudySpec, axes: Axes, arms: Sequence[ArmReport], name: str, bars: float) -> None:
    """Set both axes' limits, with room for the bars below and the diverged trials above."""
    trials: list[TrialScore] = [trial for arm in arms for trial in arm.search.trials]
    ends = [end for arm in arms if name in arm.search.ranges for end in _ends(arm, name)]
    if all(arm.search.ranges[name].log for arm in arms if name in arm.search.ranges):
        log_axis(axes, "x", *padded(ends))
    values = [trial.score for trial in trials if trial.score is not None]
    values += [seed.objective for arm in arms for seed in arm.seeds if seed.objective is not None]
    if is_loss(spec.protocol.objective):
        floored = [max(value, spec.protocol.loss_floor) for value in values]
        log_axis(axes, "y", *padded(floored, below=0.05 + 1.2 * bars, above=0.1))
    elif values:
        span = max(values) - min(values) or max(abs(max(values)), 1.0)
        axes.set_ylim(min(values) - (0.05 + 1.2 * bars) * span, max(values) + 0.1 * span)


def _ends(arm: ArmReport, name: str) -> tuple[float, float]:
    return arm.search.ranges[name].low, arm.search.ranges[name].high


def _add_key(axes: Axes) -> None:
    for text, (marker, size, width) in KEY.items():
        axes.plot([], [], marker, color=INK, markersize=size, linewidth=width, label=text)
