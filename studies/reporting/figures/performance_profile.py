"""The performance profile: on which share of the workloads an arm is within a factor of the fastest."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from studies.analysis.aggregate import Across
from studies.formatting import number
from studies.reporting.figures.style import legend, log_axis, look, new_axes

#: Ratios up to it are drawn as they are, larger ones by their logarithms.
LINEAR = 10.0


def profile_picture(found: Across) -> Figure | None:
    """Return the picture, None where no arm reaches a target on any workload.

    Args:
        found: What is said across workloads.
    """
    if all(ratio is None for arm in found.arms for ratio in arm.ratios):
        return None
    labels = [f"{arm.arm} ({number(arm.score)})" for arm in found.arms]
    figure, axes = new_axes(
        "Performance profile (score)", "steps to the target, by the fastest arm's", "share of the workloads", labels
    )
    for place, arm in enumerate(found.arms):
        style = look(place)
        ends = [*found.factors, max(found.r_max, found.factors[-1])]
        axes.plot(
            ends,
            [*arm.profile, arm.profile[-1]],
            label=labels[place],
            color=style.colour,
            linestyle=style.dash,
            linewidth=1.5,
            drawstyle="steps-post",
            marker=style.marker,
            markersize=3.5,
        )
    axes.axvline(found.r_max, color="#808080", linewidth=0.8, linestyle=(0, (4, 3)))
    most = max(found.r_max, found.factors[-1])
    if most > LINEAR:
        log_axis(axes, "x", 0.97, 1.06 * most)
    else:
        axes.set_xlim(0.95, most + 0.05)
    axes.set_ylim(-0.03, 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    legend(figure, labels)
    return figure
