"""All figures of a report: curves, sensitivity and tuning cost of each workload, and a performance profile."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import matplotlib as mpl
from matplotlib.figure import Figure

from studies.analysis.aggregate import Aggregate
from studies.analysis.statistics.series import SMOOTHING_SIGMA
from studies.formatting import label, listing
from studies.records.rows import Rows
from studies.reporting.figures.curves import Scale, draw_curves
from studies.reporting.figures.export import render_png, render_svg
from studies.reporting.figures.performance_profile import draw_performance_profile
from studies.reporting.figures.sensitivity import draw_sensitivity
from studies.reporting.figures.style import RC_PARAMS
from studies.reporting.figures.tuning_cost import draw_tuning_cost
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.series import recorded_metrics
from studies.reporting.text.phrases import usable_range_width

#: Learning curves are cut off at this multiple of the initial loss.
MAX_LOSS_FACTOR = 1e3
SEEDS_CAPTION = (
    "over the confirm seeds that did not diverge; band: from the lowest to the highest seed. "
    "Points beyond the last step: the final value of each seed."
)
RATES_CAPTION = SEEDS_CAPTION.partition(" Points")[0]
SMOOTHING_CAPTION = (
    f"Smoothed in the logarithm by a Gaussian kernel, standard deviation {SMOOTHING_SIGMA:g} points of the curve"
)


@dataclass(frozen=True, kw_only=True)
class RenderedFigure:
    """A figure of a report as SVG and PNG.

    Args:
        name: Its file's stem, unique within the report.
        workload: The workload it belongs to; empty for all workloads.
        caption: What it shows and how to read it.
        svg: SVG without external references.
        png: The same figure as PNG.
    """

    name: str
    workload: str
    caption: str
    svg: str
    png: bytes


def render_figures(report: Report, rows: Rows) -> tuple[RenderedFigure, ...]:
    """Return every figure of a report, by workload.

    Args:
        report: The report.
        rows: The rows it was computed from, the runs with their series.
    """
    with mpl.rc_context(RC_PARAMS):
        figures = [
            _render_figure(workload.workload, kind, caption, figure)
            for workload in report.workloads
            for kind, caption, figure in _figures(report, workload, _rows_of(workload, rows))
            if figure is not None
        ]
        profile = None if report.across is None else draw_performance_profile(report.across)
        if report.across is not None and profile is not None:
            figures.append(_render_figure("", "performance_profile", _profile_caption(report.across), profile))
        return tuple(figures)


def _rows_of(workload: WorkloadReport, rows: Rows) -> Rows:
    return replace(rows, runs=tuple(run for run in rows.runs if run.workload == workload.workload))


def _render_figure(workload: str, kind: str, caption: str, figure: Figure) -> RenderedFigure:
    name = f"{workload}-{kind}" if workload else kind
    of = f"{workload}: " if workload else ""
    description = f"{of}{kind.replace('_', ' ').replace('-', ', ')}. {caption}"
    return RenderedFigure(
        name=name, workload=workload, caption=caption, svg=render_svg(figure, name, description), png=render_png(figure)
    )


def _profile_caption(aggregate: Aggregate) -> str:
    return (
        f"On which share of the {len(aggregate.workloads)} workloads an arm's median steps to the target are at most "
        "so many times those of the fastest arm; a workload without a target counts for no arm. In brackets: the area "
        f"to {aggregate.r_max:g}, the dashed line, from 0 to 1."
    )


def _figures(report: Report, workload: WorkloadReport, rows: Rows) -> Iterator[tuple[str, str, Figure | None]]:
    """Yield the kind of each figure, its caption and the figure, None if there is nothing to draw."""
    ceiling = _loss_ceiling(rows)
    losses = Scale(log=True, floor=report.spec.protocol.loss_floor, ceiling=ceiling)
    caption = f"Training loss: geometric mean {SEEDS_CAPTION} {SMOOTHING_CAPTION}; floor {losses.floor:g}."
    yield "train_loss", caption, draw_curves(workload, rows, "train_loss", losses)
    for name in recorded_metrics(workload, rows):
        yield (
            name,
            f"{label(name).capitalize()}: mean {SEEDS_CAPTION}",
            draw_curves(workload, rows, name, Scale(log=False)),
        )
    rates = draw_curves(workload, rows, "effective_lr", Scale(log=True))
    caption = f"Effective learning rate: geometric mean {RATES_CAPTION} {SMOOTHING_CAPTION}."
    yield "effective_lr", caption, rates
    if any(arm.search.trials for arm in workload.arms):
        for name in sorted({name for arm in workload.arms for name in arm.search.ranges}):
            caption = (
                f"Every trial's score in its search; arms that do not search the {label(name)} are level lines. "
                "Trials marked off the scale diverged or came close to it."
            )
            yield (
                f"sensitivity-{name}",
                caption + _usable_range_caption(workload, name),
                draw_sensitivity(report.spec, workload, name, ceiling),
            )
        caption = (
            "The best score of each search so far, a mark where it got better, against the steps that its trials "
            "trained; level lines: arms that are not tuned, at their search score."
        )
        if any(arm.tuning.expected_best for arm in workload.arms):
            caption += " Dotted: the best score to be expected of so many of the trials, drawn in any order."
        yield "tuning_cost", caption, draw_tuning_cost(report.spec, workload, ceiling)


def _usable_range_caption(workload: WorkloadReport, name: str) -> str:
    """Return the width of each arm's usable range in words; empty if there is none."""
    ranges = [(arm.arm, arm.tuning.usable) for arm in workload.arms]
    widths = [
        f"{arm} {usable_range_width(usable)}" for arm, usable in ranges if usable and usable.hyperparameter == name
    ]
    return f" Usable {label(name)} around the best: {listing(widths)}." if widths else ""


def _loss_ceiling(rows: Rows) -> float:
    starts = [run.start_loss for run in rows.runs if 0 < run.start_loss < math.inf]
    return MAX_LOSS_FACTOR * max(starts) if starts else math.inf
