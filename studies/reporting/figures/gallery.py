"""The report's pictures: of each workload curves, sensitivity and what tuning bought; a profile across them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import matplotlib as mpl
from matplotlib.figure import Figure

from studies.analysis.aggregate import Across
from studies.analysis.statistics.series import SMOOTHING_SIGMA
from studies.analysis.tuning import decades
from studies.formatting import label, listing
from studies.records.rows import Rows
from studies.reporting.figures.curves import Scale, curves
from studies.reporting.figures.performance_profile import profile_picture
from studies.reporting.figures.sensitivity import sensitivity
from studies.reporting.figures.style import STYLE, png, svg
from studies.reporting.figures.tuning_cost import cost_curve
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.series import followed_metrics

#: Learning curves are cut off at this many times the loss at the start.
HIGHEST_LOSS = 1e3
SEEDS = (
    "over the confirm seeds that did not diverge; band: from the lowest to the highest seed. "
    "Points beyond the last step: the final value of each seed."
)
RATES = SEEDS.partition(" Points")[0]
SMOOTHED = f"Smoothed in the logarithm by a Gaussian kernel, standard deviation {SMOOTHING_SIGMA:g} points of the curve"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a report.

    Args:
        name: Its file's stem, unique within the report.
        workload: The workload it is of; empty where it is across workloads.
        caption: What is seen and how to read it.
        svg: The picture as SVG text with no outer reference.
        png: The same for what shows no SVG.
    """

    name: str
    workload: str
    caption: str
    svg: str
    png: bytes


def pictures(report: Report, rows: Rows) -> tuple[Picture, ...]:
    """Return every picture of a report, by workload.

    Args:
        report: The report.
        rows: The rows it was computed from, the runs with their series.
    """
    with mpl.rc_context(STYLE):
        found = [
            _picture(workload.workload, kind, caption, figure)
            for workload in report.workloads
            for kind, caption, figure in _figures(report, workload, _of(workload, rows))
            if figure is not None
        ]
        profile = None if report.across is None else profile_picture(report.across)
        if report.across is not None and profile is not None:
            found.append(_picture("", "performance_profile", _profile_caption(report.across), profile))
        return tuple(found)


def _of(workload: WorkloadReport, rows: Rows) -> Rows:
    return replace(rows, runs=tuple(run for run in rows.runs if run.workload == workload.workload))


def _picture(workload: str, kind: str, caption: str, figure: Figure) -> Picture:
    name = f"{workload}-{kind}" if workload else kind
    of = f"{workload}: " if workload else ""
    description = f"{of}{kind.replace('_', ' ').replace('-', ', ')}. {caption}"
    return Picture(name=name, workload=workload, caption=caption, svg=svg(figure, name, description), png=png(figure))


def _profile_caption(found: Across) -> str:
    return (
        f"On which share of the {len(found.workloads)} workloads an arm's median steps to the target are at most so "
        "many times those of the fastest arm; a workload without a target counts for no arm. In brackets: the area to "
        f"{found.r_max:g}, the dashed line, from 0 to 1."
    )


def _figures(report: Report, workload: WorkloadReport, rows: Rows) -> Iterator[tuple[str, str, Figure | None]]:
    """Yield the kind of each picture, its caption and the figure, None where there is nothing to draw."""
    ceiling = _ceiling(rows)
    losses = Scale(log=True, floor=report.spec.protocol.loss_floor, ceiling=ceiling)
    caption = f"Training loss: geometric mean {SEEDS} {SMOOTHED}; floor {losses.floor:g}."
    yield "train_loss", caption, curves(workload, rows, "train_loss", losses)
    for name in followed_metrics(workload, rows):
        yield name, f"{label(name).capitalize()}: mean {SEEDS}", curves(workload, rows, name, Scale(log=False))
    rates = curves(workload, rows, "effective_lr", Scale(log=True))
    caption = f"Effective learning rate: geometric mean {RATES} {SMOOTHED}."
    yield "effective_lr", caption, rates
    if any(arm.search.trials for arm in workload.arms):
        for name in sorted({name for arm in workload.arms for name in arm.search.ranges}):
            caption = (
                f"Every trial's score in its search; arms that do not search the {label(name)} are level lines. "
                "Trials marked off the scale diverged or came close to it."
            )
            yield (
                f"sensitivity-{name}",
                caption + _usable(workload, name),
                sensitivity(report.spec, workload, name, ceiling),
            )
        caption = (
            "The best score of each search so far, a mark where it got better, against the steps that its trials "
            "trained; level lines: arms that are not tuned, at their search score."
        )
        if any(arm.tuning.expected_best for arm in workload.arms):
            caption += " Dotted: the best score to be expected of so many of the trials, drawn in any order."
        yield "tuning_cost", caption, cost_curve(report.spec, workload, ceiling)


def _usable(workload: WorkloadReport, name: str) -> str:
    """Return how wide each arm's usable range is, in words; nothing where none is known."""
    found = [(arm.arm, arm.tuning.usable) for arm in workload.arms]
    said = [f"{arm} {decades(usable)}" for arm, usable in found if usable and usable.hyperparameter == name]
    return f" Usable {label(name)} around the best: {listing(said)}." if said else ""


def _ceiling(rows: Rows) -> float:
    starts = [run.start_loss for run in rows.runs if 0 < run.start_loss < math.inf]
    return HIGHEST_LOSS * max(starts) if starts else math.inf
