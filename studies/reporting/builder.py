"""Builds the report of a study: a pure function of its spec, its rows and their provenance."""

from collections.abc import Mapping, Sequence

from studies.analysis.aggregate import aggregate_workloads
from studies.analysis.arm_report import ArmReport
from studies.analysis.arm_report_builder import build_arm_report
from studies.analysis.comparison import Comparison, compare
from studies.analysis.time_to_target import Target, find_target
from studies.records.rows import Rows, by_arm
from studies.reporting.report import SCHEMA_VERSION, Provenance, Report, WorkloadReport
from studies.reporting.text.headline import report_headline, select_headline_pair, workload_headline
from studies.reporting.text.methods import methods_paragraphs
from studies.reporting.text.verdicts import (
    describe_budget_cut,
    mixed_hardware_warning,
    reading_notes,
    workload_verdict,
    workload_warnings,
)
from studies.search import budget
from studies.search.selection import replay_search
from studies.spec.study import StudySpec


def build_report(spec: StudySpec, rows: Rows, provenance: Provenance) -> Report:
    """Return the report of a study, finished or not.

    Args:
        spec: The study.
        rows: Its rows; runs without series can reach targets at their end only.
        provenance: Their provenance.
    """
    comparisons, rows_by_arm = compare(spec, rows), by_arm(rows)
    arms = {
        workload.name: _arm_reports(spec, rows, rows_by_arm, comparisons, workload.name) for workload in spec.workloads
    }
    targets = {
        workload: _target(spec, rows_by_arm, workload, workload_arms) for workload, workload_arms in arms.items()
    }
    pairs = {
        workload: select_headline_pair(workload_arms, targets[workload]) for workload, workload_arms in arms.items()
    }
    cut_short = describe_budget_cut(spec, arms, rows.reached)
    warnings = [
        warning
        for workload, workload_arms in arms.items()
        for warning in workload_warnings(spec, workload, workload_arms)
    ]
    hosts = tuple(sorted({pack.host for pack in rows.packs if pack.host}))
    return Report(
        schema_version=SCHEMA_VERSION,
        headline=report_headline(spec, list(pairs.values())),
        complete=all(arm.complete and not arm.search.cut for workload_arms in arms.values() for arm in workload_arms),
        cut_short=cut_short,
        warnings=(*((cut_short,) if cut_short else ()), *spec.warnings(), *budget.warnings(spec), *warnings),
        notes=reading_notes(spec),
        methods=methods_paragraphs(spec),
        workloads=tuple(
            WorkloadReport(
                workload=workload,
                headline=workload_headline(spec, pairs[workload]),
                verdict=workload_verdict(spec, workload_arms),
                target=targets[workload],
                arms=workload_arms,
            )
            for workload, workload_arms in arms.items()
        ),
        across=aggregate_workloads(spec, list(targets.values()), list(arms.values())),
        spec=spec,
        search_seeds=spec.search_seeds,
        confirm_seeds=spec.confirm_seeds,
        provenance=provenance.model_copy(update={"hosts": hosts, "mixed": mixed_hardware_warning(hosts)}),
    )


def _arm_reports(
    spec: StudySpec,
    rows: Rows,
    rows_by_arm: Mapping[tuple[str, str], Rows],
    comparisons: Mapping[tuple[str, str], Comparison],
    workload: str,
) -> tuple[ArmReport, ...]:
    arm_rows = {arm.name: rows_by_arm.get((workload, arm.name), Rows(reached=rows.reached)) for arm in spec.arms}
    untuned = _untuned_arm(spec, arm_rows, workload)
    return tuple(
        build_arm_report(spec, arm_rows[arm.name], workload, arm.name, comparisons.get((workload, arm.name)), untuned)
        for arm in spec.arms
    )


def _untuned_arm(spec: StudySpec, arm_rows: Mapping[str, Rows], workload: str) -> tuple[str, float] | None:
    """Return the fixed arm that searched ones break even with, the reference if it is fixed, and its search score."""
    fixed = [arm.name for arm in spec.arms if not arm.search]
    if not fixed:
        return None
    name = spec.protocol.reference if spec.protocol.reference in fixed else fixed[0]
    scores = replay_search(spec, arm_rows[name], workload, name).scores
    return (name, scores[0].value) if scores else None


def _target(
    spec: StudySpec, rows_by_arm: Mapping[tuple[str, str], Rows], workload: str, arms: Sequence[ArmReport]
) -> Target | None:
    workload_rows = [rows_by_arm.get((workload, arm.arm), Rows()) for arm in arms]
    runs = tuple(run for rows in workload_rows for run in rows.runs)
    packs = tuple(pack for rows in workload_rows for pack in rows.packs)
    return find_target(spec, Rows(packs=packs, runs=runs), workload, arms)
