"""The report's tables as text cells, the same for every form that people read."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import Comparison, Interval, Verdict
from studies.formatting import count, label, metric, number, probability, setting, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.text.verdicts import owed_to_luck
from studies.spec.definition import ScheduleDefinition
from studies.spec.objective import is_loss
from studies.spec.schedule import ScheduleKind
from studies.spec.study import ArmSpec, StudySpec

#: Verdicts are told apart by their signs as well as by colour.
SIGNS = {
    Verdict.WIN: "▲",
    Verdict.LOSS: "▼",
    Verdict.TIE: "=",
    Verdict.UNDECIDED: "?",
    Verdict.INCOMPLETE: "…",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A table's cell.

    Args:
        text: What matters.
        lines: What is said below it in small print.
        verdict: The verdict it states, None in other cells.
    """

    text: str
    lines: tuple[str, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Args:
        caption: What it is of, with units.
        headings: One a column.
        rows: Cells in the columns' order.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def overview_table(report: Report) -> Table:
    """Return every verdict, one row an arm and one column a workload.

    Args:
        report: The report.
    """
    rows: list[tuple[Cell, ...]] = []
    for place, arm in enumerate(report.spec.arms):
        own = [workload.arms[place] for workload in report.workloads]
        rows.append((Cell(text=arm.name, lines=(arm.kind,)), *(_outcome(each) for each in own)))
    objective = label(report.spec.protocol.objective)
    corner = f"verdict, final {objective}"
    return Table(
        caption=f"Verdicts against {report.spec.protocol.reference}, and the final {objective} below",
        headings=(corner, *(workload.workload for workload in report.workloads)),
        rows=tuple(rows),
    )


def summary_table(report: Report, workload: WorkloadReport) -> Table:
    """Return the findings on a workload, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    spec = report.spec
    shown = _shown_metrics(spec, workload.arms)
    return Table(
        caption=f"{workload.workload}: every arm at its setting, over the confirm seeds",
        headings=(
            "arm",
            "setting",
            "final training loss",
            ", ".join(map(label, shown)) or "metric",
            f"verdict against {spec.protocol.reference}",
            "tuning cost",
        ),
        rows=tuple(
            (
                _arm(arm),
                _setting(spec.arm(arm.arm), arm),
                _final_loss(spec, arm),
                _metrics(arm, shown),
                _verdict(spec, arm.comparison),
                _tuning_cost(arm),
            )
            for arm in workload.arms
        ),
    )


def comparison_table(report: Report, workload: WorkloadReport) -> Table:
    """Return the searches' scores and the tests behind the verdicts, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    headings = (
        "arm",
        "range searched",
        "search score",
        "confirm score",
        "optimism gap",
        "mean difference (95 %)",
        "90 % interval",
        "test",
        "p",
        "adjusted p",
        "probability of improvement",
        "detectable difference",
        "luck of the searches",
    )
    scale = "decades (log10 of the loss)" if report.spec.objective.is_loss else "the objective's unit"
    caption = (
        f"{workload.workload}: searches and tests against {report.spec.protocol.reference}, differences in {scale}, "
        "positive where the arm is better"
    )
    return Table(caption=caption, headings=headings, rows=tuple(_comparison_row(arm) for arm in workload.arms))


def measurement_table(workload: WorkloadReport) -> Table:
    """Return every measured quantity over the confirm seeds, one row an arm and quantity.

    Args:
        workload: The workload's part of the report.
    """
    return Table(
        caption=f"{workload.workload}: everything measured; losses have geometric means, and intervals of their log10",
        headings=("arm", "quantity", "seeds", "mean", "95 % interval", "lowest", "highest"),
        rows=tuple(
            (
                Cell(text=arm.arm),
                Cell(text=label(summary.name)),
                Cell(text=str(summary.seeds)),
                Cell(text=metric(summary.center)),
                Cell(text=interval_text(summary.interval_95, "log10: " if is_loss(summary.name) else "")),
                Cell(text=metric(summary.lowest)),
                Cell(text=metric(summary.highest)),
            )
            for arm in workload.arms
            for summary in arm.summaries
        ),
    )


def seed_table(report: Report, workload: WorkloadReport) -> Table:
    """Return every confirm seed's final value of the objective, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    seeds = report.confirm_seeds
    rows: list[tuple[Cell, ...]] = []
    for arm in workload.arms:
        values = {seed.seed: "diverged" if seed.objective is None else number(seed.objective) for seed in arm.seeds}
        rows.append((Cell(text=arm.arm), *(Cell(text=values.get(seed, "–")) for seed in seeds)))
    caption = f"{workload.workload}: final {label(report.spec.protocol.objective)} of every confirm seed"
    return Table(caption=caption, headings=("arm", *map(str, seeds)), rows=tuple(rows))


def _shown_metrics(spec: StudySpec, arms: Sequence[ArmReport]) -> list[str]:
    """Return the metrics on test data, on validation data where there are none, and the objective if it is neither."""
    names = sorted({summary.name for arm in arms for summary in arm.summaries if not is_loss(summary.name)})
    tested = [name for name in names if name.startswith("test_")]
    shown = tested or names
    objective = spec.protocol.objective
    return shown if objective in {*shown, "train_loss"} else [*shown, objective]


def _outcome(arm: ArmReport) -> Cell:
    value = (number(arm.objective and arm.objective.center), *_diverged(arm))
    if arm.comparison is None:
        return Cell(text="reference", lines=value)
    verdict = arm.comparison.verdict
    return Cell(text=f"{SIGNS[verdict]} {verdict.value}", lines=value, verdict=verdict)


def _diverged(arm: ArmReport) -> tuple[str, ...]:
    return (f"{arm.diverged} of {count(len(arm.seeds), 'seed')} diverged",) if arm.diverged else ()


def _arm(arm: ArmReport) -> Cell:
    lines = [arm.kind]
    if arm.optimizer != arm.arm:
        lines.append(arm.optimizer)
    if arm.is_reference:
        lines.append("reference")
    return Cell(text=arm.arm, lines=(", ".join(lines),))


def _setting(spec: ArmSpec, arm: ArmReport) -> Cell:
    if arm.setting is None:
        return Cell(text="–")
    changing = tuple(f"{name}: {_schedule(each)}" for name, each in spec.schedule.items())
    searched = {name: value for name, value in arm.setting.items() if name in spec.search}
    fixed = {name: value for name, value in arm.setting.items() if name not in spec.search}
    if not searched:
        return Cell(text="fixed", lines=(setting(fixed), *changing))
    return Cell(text=setting(searched), lines=(*((setting(fixed),) if fixed else ()), *changing))


def _schedule(chosen: ScheduleDefinition) -> str:
    places = ", ".join(f"{each:.3g}" for each in chosen.milestones)
    shapes = {
        ScheduleKind.CONSTANT: "constant",
        ScheduleKind.PIECEWISE: f"times {chosen.gamma:.3g} at {places} of the run",
        ScheduleKind.COSINE: f"cosine to {chosen.final:.3g} of it",
    }
    return shapes[chosen.kind] + (f", warm-up over {chosen.warmup:.3g} of the run" if chosen.warmup else "")


def _final_loss(spec: StudySpec, arm: ArmReport) -> Cell:
    summary, lines = arm.summary("train_loss"), list[str]()
    if summary is not None:
        lines.append(f"{number(summary.lowest)} to {number(summary.highest)}")
    lines += _diverged(arm)
    if arm.kind == "searched" and arm.optimism_gap is not None:
        lines.append(f"optimism gap {signed(arm.optimism_gap)}{_unit(spec)}")
    return Cell(text=number(summary and summary.center), lines=tuple(lines))


def _metrics(arm: ArmReport, names: Sequence[str]) -> Cell:
    found = [(name, arm.summary(name)) for name in names]
    texts = [
        f"{label(name) + ' ' if len(names) > 1 else ''}{metric(summary and summary.center)}" for name, summary in found
    ]
    intervals = [
        interval_text(summary.interval_95, "95 %: ") for _, summary in found if summary and summary.interval_95
    ]
    return Cell(text="; ".join(texts) or "–", lines=tuple(intervals) if len(names) == 1 else ())


def _verdict(spec: StudySpec, comparison: Comparison | None) -> Cell:
    if comparison is None:
        return Cell(text="reference")
    lines: list[str] = []
    if comparison.mean_difference is not None:
        lines.append(f"{signed(comparison.mean_difference)}{_unit(spec)}")
    if comparison.interval_95 is not None:
        lines.append(interval_text(comparison.interval_95, "95 %: "))
    if comparison.diverged_pairs:
        lines.append(f"{comparison.diverged_pairs} of {count(len(comparison.differences), 'pair')} diverged")
    if comparison.p_adjusted is not None:
        lines.append(f"adjusted p {probability(comparison.p_adjusted)}")
    if owed_to_luck(comparison):
        lines.append(f"searches' luck ±{number(comparison.search_luck)}{_unit(spec)}")
    if comparison.seeds_needed is not None:
        lines.append(f"about {comparison.seeds_needed} seeds needed")
    text = f"{SIGNS[comparison.verdict]} {comparison.verdict.value}"
    return Cell(text=text, lines=tuple(lines), verdict=comparison.verdict)


def _unit(spec: StudySpec) -> str:
    return " decades" if spec.objective.is_loss else ""


def _tuning_cost(arm: ArmReport) -> Cell:
    cost = arm.tuning_cost
    kinds = (arm.search.diverged, "diverged"), (arm.search.stopped, "stopped")
    early = ", ".join(f"{trials} {kind}" for trials, kind in kinds if trials)
    ended = f" ({early})" if early else ""
    lines = [count(cost.steps, "step")]
    if cost.seconds is not None:
        lines.append(f"{cost.seconds:.1f} s of packs")
    if arm.kind == "fixed":
        return Cell(text=f"not tuned{ended}", lines=(f"scored with {lines[0]}", *lines[1:]) if cost.steps else ())
    trials = count(cost.trials, "trial")
    if arm.search.cut:
        trials = f"{cost.trials} of {count(arm.search.asked, 'trial')}, cut by the budget"
    return Cell(text=trials + ended, lines=tuple(lines))


def _comparison_row(arm: ArmReport) -> tuple[Cell, ...]:
    found = arm.comparison
    ranges = tuple(f"{name}: {number(each.low)} to {number(each.high)}" for name, each in arm.search.ranges.items())
    extended = (f"extended {count(arm.search.extensions, 'time')}",) if arm.search.extensions else ()
    cells = [
        Cell(text=arm.arm),
        Cell(text="; ".join(ranges) or "–", lines=extended),
        Cell(text=number(arm.search_score)),
        Cell(text=number(arm.confirm_score)),
        Cell(text=signed(arm.optimism_gap)),
    ]
    if found is None:
        return (*cells, *(Cell(text="–") for _ in range(8)))
    difference = "–" if found.mean_difference is None else signed(found.mean_difference)
    return (
        *cells,
        Cell(text=difference, lines=(interval_text(found.interval_95),) if found.interval_95 else ()),
        Cell(text=interval_text(found.interval_90)),
        Cell(text=(found.test or "–").replace("_", " ")),
        Cell(text=probability(found.p)),
        Cell(text=probability(found.p_adjusted)),
        Cell(text=metric(found.probability_of_improvement)),
        Cell(text=number(found.minimum_detectable_effect)),
        Cell(text="–" if found.search_luck is None else f"±{number(found.search_luck)}"),
    )


def interval_text(interval: Interval | None, prefix: str = "") -> str:
    """Return an interval as `[low, high]`, a dash for None.

    Args:
        interval: The interval.
        prefix: Before it.
    """
    return "–" if interval is None else f"{prefix}[{metric(interval.low)}, {metric(interval.high)}]"
