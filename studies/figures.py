"""The report's pictures: learning curves, metrics, effective learning rates, and sensitivity, for each workload."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import matplotlib as mpl
from matplotlib.figure import Figure

from studies.compare import confirm_runs, is_loss
from studies.curves import Scale, curves
from studies.drawing import STYLE, svg
from studies.report import Report, WorkloadReport
from studies.rows import Rows
from studies.sensitivity import sensitivity
from studies.wording import label

#: Learning curves are cut off at this many times the loss at the start.
HIGHEST_LOSS = 1e3
SEEDS = "over the confirm seeds that did not diverge; band: from the lowest to the highest seed."


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a report.

    Args:
        name: Its file's stem, unique within the report.
        workload: The workload it is of.
        caption: What is seen and how to read it.
        svg: The picture as SVG text with no outer reference.
    """

    name: str
    workload: str
    caption: str
    svg: str


def pictures(report: Report, rows: Rows) -> tuple[Picture, ...]:
    """Return every picture of a report, by workload.

    Args:
        report: The report.
        rows: The rows it was computed from, the runs with their series.
    """
    with mpl.rc_context(STYLE):
        return tuple(
            _picture(workload, kind, caption, figure)
            for workload in report.workloads
            for kind, caption, figure in _figures(report, workload, _of(workload, rows))
            if figure is not None
        )


def _of(workload: WorkloadReport, rows: Rows) -> Rows:
    return replace(rows, runs=tuple(run for run in rows.runs if run.workload == workload.workload))


def _picture(workload: WorkloadReport, kind: str, caption: str, figure: Figure) -> Picture:
    name = f"{workload.workload}-{kind}"
    description = f"{workload.workload}: {kind.replace('_', ' ').replace('-', ', ')}. {caption}"
    return Picture(name=name, workload=workload.workload, caption=caption, svg=svg(figure, name, description))


def _figures(report: Report, workload: WorkloadReport, rows: Rows) -> Iterator[tuple[str, str, Figure | None]]:
    """Yield the kind of each picture, its caption and the figure, None where there is nothing to draw."""
    ceiling = _ceiling(rows)
    losses = Scale(log=True, floor=report.spec.protocol.loss_floor, ceiling=ceiling)
    yield "train_loss", f"Training loss: geometric mean {SEEDS}", curves(workload, rows, "train_loss", losses)
    for name in _metrics(workload, rows):
        yield name, f"{label(name).capitalize()}: mean {SEEDS}", curves(workload, rows, name, Scale(log=False))
    rates = curves(workload, rows, "effective_lr", Scale(log=True))
    yield "effective_lr", f"Effective learning rate of each step: geometric mean {SEEDS}", rates
    if any(arm.search.trials for arm in workload.arms):
        for name in sorted({name for arm in workload.arms for name in arm.search.ranges}):
            caption = (
                f"Every trial's score in its search; arms that do not search the {label(name)} are level lines. "
                "Trials marked off the scale diverged or came close to it."
            )
            yield f"sensitivity-{name}", caption, sensitivity(report.spec, workload, name, ceiling)


def _ceiling(rows: Rows) -> float:
    starts = [run.start_loss for run in rows.runs if 0 < run.start_loss < math.inf]
    return HIGHEST_LOSS * max(starts) if starts else math.inf


def _metrics(workload: WorkloadReport, rows: Rows) -> list[str]:
    """Return the metrics that are followed, each on test data, else on validation data."""
    runs = [run for arm in workload.arms for run in confirm_runs(rows, workload.workload, arm.arm)]
    names = {series.name for run in runs for series in run.series if not is_loss(series.name)}
    tested = {name for name in names if name.startswith("test_")}
    only_validated = {
        name for name in names if name.startswith("validation_") and f"test_{name.split('_', 1)[1]}" not in tested
    }
    return sorted(tested | only_validated)
