"""The figure of a recorded series: each arm's mean over the confirm seeds, with a band from lowest to highest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import confirm_runs
from studies.analysis.statistics.series import Band, log_smoothing, minmax_band
from studies.formatting import label
from studies.records.rows import Outcome, Rows, Run
from studies.reporting.figures.style import ArmStyle, add_legend, arm_style, create_axes, padded_limits, set_log_axis
from studies.reporting.report import WorkloadReport
from studies.reporting.series import align_by_step

#: Markers along a curve, which tell curves apart without colour.
MARKERS_PER_CURVE = 6
#: Width of the strip beyond the last step for the final values, as a share of the steps.
FINALS_WIDTH = 0.08


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a quantity is averaged over seeds and drawn.

    Args:
        log: Whether the mean is geometric and the axis logarithmic; values that are not positive are left out.
        floor: Smaller values count as the floor; 0 for none.
        ceiling: The axis ends there; infinite for none.
    """

    log: bool
    floor: float = 0.0
    ceiling: float = np.inf


def draw_curves(workload: WorkloadReport, rows: Rows, name: str, scale: Scale) -> Figure | None:
    """Return a figure of a series, None where no confirm run has it.

    Args:
        workload: The workload's part of the report.
        rows: The study's rows, the runs with their series.
        name: The series, as in `train_loss`.
        scale: How it is averaged and drawn.
    """
    runs = [confirm_runs(rows, workload.workload, arm.arm) for arm in workload.arms]
    if not any(series.name == name for arm_runs in runs for run in arm_runs for series in run.series):
        return None
    labels = [_label(arm) for arm in workload.arms]
    figure, axes = create_axes(f"{workload.workload}: {label(name)}", "step", label(name), labels)
    bands = [_band(arm_runs, name, scale) for arm_runs in runs]
    finals = [_finals(arm, name) for arm in workload.arms]
    for index, (arm, (steps, band)) in enumerate(zip(workload.arms, bands, strict=True)):
        _draw(axes, steps, band, arm_style(index), labels[index], index / len(bands), arm.is_reference)
    last = max((float(steps[-1]) for steps, _ in bands if len(steps)), default=0.0)
    for index, values in enumerate(finals):
        _draw_finals(axes, values, arm_style(index), last * (1.02 + FINALS_WIDTH * (index + 1) / len(finals)), scale)
    if scale.log:
        values = np.concatenate([*(np.concatenate([band.low, band.high]) for _, band in bands), *finals])
        values = np.maximum(values, scale.floor)
        set_log_axis(axes, "y", *padded_limits(np.minimum(values[np.isfinite(values)], scale.ceiling).tolist()))
    add_legend(figure, labels)
    return figure


def _label(arm: ArmReport) -> str:
    if not arm.seeds:
        return f"{arm.arm} (not confirmed)"
    if arm.diverged == len(arm.seeds):
        return f"{arm.arm} (all diverged)"
    return f"{arm.arm} ({arm.diverged} diverged)" if arm.diverged else arm.arm


def _band(runs: Sequence[Run], name: str, scale: Scale) -> tuple[NDArray[np.floating], Band]:
    """Return the steps, and the curves of the seeds that did not diverge as one; empty where there are none."""
    finished = [run for run in runs if run.outcome is Outcome.FINISHED]
    steps, values = align_by_step([series for run in finished for series in run.series if series.name == name])
    if not len(steps):
        return steps, Band(center=steps, low=steps, high=steps)
    return steps, minmax_band(log_smoothing(values, scale.floor) if scale.log else values, geometric=scale.log)


def _finals(arm: ArmReport, name: str) -> NDArray[np.floating]:
    """Return the final value of each confirm seed that has one."""
    values = [seed.train_loss if name == "train_loss" else seed.metrics.get(name) for seed in arm.seeds]
    return np.array([value for value in values if value is not None], dtype=float)


def _draw_finals(axes: Axes, values: NDArray[np.floating], style: ArmStyle, step: float, scale: Scale) -> None:
    """Draw every seed's final value as a point beyond the last step."""
    floored = np.maximum(values, scale.floor) if scale.log else values
    axes.plot(
        np.full(len(floored), step), floored, style.marker, color=style.colour, ms=2.6, alpha=0.7, mew=0, clip_on=True
    )


def _draw(
    axes: Axes, steps: NDArray[np.floating], band: Band, style: ArmStyle, text: str, offset: float, is_reference: bool
) -> None:
    stride = max(1, len(steps) // MARKERS_PER_CURVE)
    axes.fill_between(steps, band.low, band.high, color=style.colour, alpha=0.16, linewidth=0)
    axes.plot(
        steps,
        band.center,
        label=text,
        color=style.colour,
        linestyle=style.dash,
        linewidth=2.0 if is_reference else 1.3,
        marker=style.marker,
        markersize=3.5,
        markevery=(int(offset * stride), stride),
    )
