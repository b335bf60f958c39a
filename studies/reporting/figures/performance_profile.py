"""The performance profile: on which share of the workloads an arm is within a factor of the fastest."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from studies.analysis.aggregate import Aggregate
from studies.formatting import number
from studies.reporting.figures.style import add_legend, arm_style, create_axes, set_log_axis

#: With larger ratios the axis is logarithmic.
MAX_LINEAR_RATIO = 10.0


def draw_performance_profile(aggregate: Aggregate) -> Figure | None:
    """Return the figure, None where no arm reaches a target on any workload.

    Args:
        aggregate: The aggregates over workloads.
    """
    if all(ratio is None for arm in aggregate.arms for ratio in arm.ratios):
        return None
    labels = [f"{arm.arm} ({number(arm.score)})" for arm in aggregate.arms]
    figure, axes = create_axes(
        "Performance profile (score)", "steps to the target, by the fastest arm's", "share of the workloads", labels
    )
    for index, arm in enumerate(aggregate.arms):
        style = arm_style(index)
        ends = [*aggregate.factors, max(aggregate.r_max, aggregate.factors[-1])]
        axes.plot(
            ends,
            [*arm.profile, arm.profile[-1]],
            label=labels[index],
            color=style.colour,
            linestyle=style.dash,
            linewidth=1.5,
            drawstyle="steps-post",
            marker=style.marker,
            markersize=3.5,
        )
    axes.axvline(aggregate.r_max, color="#808080", linewidth=0.8, linestyle=(0, (4, 3)))
    largest = max(aggregate.r_max, aggregate.factors[-1])
    if largest > MAX_LINEAR_RATIO:
        set_log_axis(axes, "x", 0.97, 1.06 * largest)
    else:
        axes.set_xlim(0.95, largest + 0.05)
    axes.set_ylim(-0.03, 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    add_legend(figure, labels)
    return figure
