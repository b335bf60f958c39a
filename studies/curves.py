"""Curves of a followed quantity, one an arm: center over the confirm seeds with a band from lowest to highest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from studies.arm_report import ArmReport
from studies.compare import confirm_runs
from studies.drawing import Look, legend, log_axis, look, new_axes, padded
from studies.report import WorkloadReport
from studies.rows import Outcome, Rows, Run, Series
from studies.wording import label

#: Markers along a curve, so that it is told apart without colour.
MARKS = 6


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a quantity is averaged over seeds and drawn.

    Args:
        log: Whether its mean is geometric and its axis logarithmic; what is not positive has no place there.
        floor: Smaller values count as it; 0 for none.
        ceiling: The axis ends there; infinite for no end.
    """

    log: bool
    floor: float = 0.0
    ceiling: float = np.inf


def curves(workload: WorkloadReport, rows: Rows, name: str, scale: Scale) -> Figure | None:
    """Return a picture of a series, None where no confirm run has it.

    Args:
        workload: The workload's part of the report.
        rows: The study's rows, the runs with their series.
        name: The series, as in `train_loss`.
        scale: How it is averaged and drawn.
    """
    runs = [confirm_runs(rows, workload.workload, arm.arm) for arm in workload.arms]
    if not any(series.name == name for own in runs for run in own for series in run.series):
        return None
    labels = [_label(arm) for arm in workload.arms]
    figure, axes = new_axes(f"{workload.workload}: {label(name)}", "step", label(name), labels)
    found = [_curve(own, name, scale) for own in runs]
    for place, (arm, curve) in enumerate(zip(workload.arms, found, strict=True)):
        _draw(axes, curve, look(place), labels[place], place / len(found), arm.is_reference)
    if scale.log:
        values = np.concatenate([np.concatenate([curve.low, curve.high]) for curve in found])
        log_axis(axes, "y", *padded(np.minimum(values[np.isfinite(values)], scale.ceiling).tolist()))
    legend(figure, labels)
    return figure


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """Values by step, each (steps,); empty where no seed has any."""

    steps: NDArray[np.floating]
    center: NDArray[np.floating]
    low: NDArray[np.floating]
    high: NDArray[np.floating]


def _label(arm: ArmReport) -> str:
    if not arm.seeds:
        return f"{arm.arm} (not confirmed)"
    if arm.diverged == len(arm.seeds):
        return f"{arm.arm} (all diverged)"
    return f"{arm.arm} ({arm.diverged} diverged)" if arm.diverged else arm.arm


def _curve(runs: Sequence[Run], name: str, scale: Scale) -> _Curve:
    finished = [run for run in runs if run.outcome is Outcome.FINISHED]
    found = [series for run in finished for series in run.series if series.name == name]
    steps, values = _aligned(found)
    if not len(steps):
        return _Curve(steps=steps, center=steps, low=steps, high=steps)
    values = np.maximum(values, scale.floor) if scale.floor else values
    usable = np.isfinite(values) & (values > 0) if scale.log else np.isfinite(values)
    kept = usable.any(axis=0)
    masked = np.ma.masked_array(values[:, kept], ~usable[:, kept])
    center = 10.0 ** np.ma.log10(masked).mean(axis=0) if scale.log else masked.mean(axis=0)
    return _Curve(
        steps=steps[kept],
        center=np.asarray(center),
        low=np.asarray(masked.min(axis=0)),
        high=np.asarray(masked.max(axis=0)),
    )


def _aligned(found: Sequence[Series]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the steps that all series have, (steps,), and the values there, (seeds, steps)."""
    if not found:
        return np.empty(0), np.empty((0, 0))
    steps = sorted(set(found[0].steps).intersection(*(series.steps for series in found[1:])))
    held = [dict(zip(series.steps, series.values, strict=True)) for series in found]
    return np.array(steps, dtype=float), np.array([[values[step] for step in steps] for values in held], dtype=float)


def _draw(axes: Axes, curve: _Curve, style: Look, text: str, offset: float, is_reference: bool) -> None:
    stride = max(1, len(curve.steps) // MARKS)
    axes.fill_between(curve.steps, curve.low, curve.high, color=style.colour, alpha=0.16, linewidth=0)
    axes.plot(
        curve.steps,
        curve.center,
        label=text,
        color=style.colour,
        linestyle=style.dash,
        linewidth=2.0 if is_reference else 1.3,
        marker=style.marker,
        markersize=3.5,
        markevery=(int(offset * stride), stride),
    )
