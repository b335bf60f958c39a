"""The report of a study: a pure function of its spec, its rows and where they come from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from studies.analysis.aggregate import Across, across
from studies.analysis.arm_report import ArmReport, arm_report
from studies.analysis.comparison import Comparison, compare
from studies.analysis.time_to_target import Target, target
from studies.frozen_model import FrozenModel
from studies.planning.estimate import Estimate
from studies.records.rows import Rows, by_arm
from studies.reporting.text import verdicts as statements
from studies.reporting.text.headline import duel, headline, overall
from studies.reporting.text.methods import methods
from studies.search import budget
from studies.search.selection import search
from studies.spec.study import StudySpec

#: Of the report's JSON. It grows by one where what reads the former number would fail or read something wrong.
SCHEMA_VERSION = 1


class Provenance(FrozenModel):
    """Where a report comes from: with the spec, enough to run it again.

    Everything that differs between two studies of the same spec is here or in a field named `seconds`.

    Args:
        study_id: The study's id.
        spec_hash: SHA-256 of the spec without the name.
        started_at: When training began (UTC).
        ended_at: When the last run was done (UTC).
        versions: Versions of the packages that decide results, by package.
        commit: Commit of this project's source; empty where it is not known.
        hardware: The machine the study was driven from.
        hosts: Machines and devices that trained packs; filled in from the rows.
        mixed: What must be known where they are several; empty where they are not.
        elapsed_seconds: For how long it was RUNNING; None where that is not known.
        estimate: What it was estimated to take when it started; None where it was not.
    """

    study_id: str
    spec_hash: str
    started_at: datetime
    ended_at: datetime
    versions: Mapping[str, str]
    commit: str
    hardware: str
    hosts: tuple[str, ...] = ()
    mixed: str = ""
    elapsed_seconds: float | None = None
    estimate: Estimate | None = None


class WorkloadReport(FrozenModel):
    """A workload's part of a report.

    Args:
        workload: Its name within the study.
        headline: The finding in a sentence: an arm beside the best tuned one.
        verdict: The finding on every arm in plain sentences.
        target: What speeds are compared by; None where there is none.
        arms: In the spec's order.
    """

    workload: str
    headline: str
    verdict: str
    target: Target | None
    arms: tuple[ArmReport, ...]


class Report(FrozenModel):
    """The comparison computed from a study's runs.

    Args:
        schema_version: Of this form; see `SCHEMA_VERSION`.
        headline: The finding in a sentence.
        complete: Whether every search and every confirm seed is done.
        cut_short: What the budget left out; empty where it left out nothing.
        warnings: What must be known before the numbers are believed.
        notes: How the numbers are to be read.
        methods: How the study was done, in paragraphs.
        workloads: In the spec's order.
        across: What is said across them; None for a single one.
        spec: The whole spec.
        search_seeds: Seeds of every search run.
        confirm_seeds: Seeds of every confirm run.
        provenance: Where the report comes from.
    """

    schema_version: Literal[1]
    headline: str
    complete: bool
    cut_short: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    methods: tuple[str, ...]
    workloads: tuple[WorkloadReport, ...]
    across: Across | None
    spec: StudySpec
    search_seeds: tuple[int, ...]
    confirm_seeds: tuple[int, ...]
    provenance: Provenance


def build_report(spec: StudySpec, rows: Rows, provenance: Provenance) -> Report:
    """Return the report of a study, finished or not.

    Args:
        spec: The study.
        rows: Its rows; runs without series reach targets at their ends only.
        provenance: Where they come from.
    """
    comparisons, apart = compare(spec, rows), by_arm(rows)
    arms = {workload.name: _arms(spec, rows, apart, comparisons, workload.name) for workload in spec.workloads}
    targets = {name: _target(spec, apart, name, each) for name, each in arms.items()}
    duels = {name: duel(each, targets[name]) for name, each in arms.items()}
    found = [text for name, each in arms.items() for text in statements.warnings(spec, name, each)]
    cut_short = statements.cut_short(spec, arms, rows.reached)
    hosts = tuple(sorted({pack.host for pack in rows.packs if pack.host}))
    return Report(
        schema_version=SCHEMA_VERSION,
        headline=overall(spec, list(duels.values())),
        complete=all(arm.complete and not arm.search.cut for each in arms.values() for arm in each),
        cut_short=cut_short,
        warnings=(*((cut_short,) if cut_short else ()), *spec.warnings(), *budget.warnings(spec), *found),
        notes=statements.notes(spec),
        methods=methods(spec),
        workloads=tuple(
            WorkloadReport(
                workload=name,
                headline=headline(spec, duels[name]),
                verdict=statements.verdict(spec, each),
                target=targets[name],
                arms=each,
            )
            for name, each in arms.items()
        ),
        across=across(spec, list(targets.values()), list(arms.values())),
        spec=spec,
        search_seeds=spec.search_seeds,
        confirm_seeds=spec.confirm_seeds,
        provenance=provenance.model_copy(update={"hosts": hosts, "mixed": statements.mixed(hosts)}),
    )


def _arms(
    spec: StudySpec,
    rows: Rows,
    apart: Mapping[tuple[str, str], Rows],
    comparisons: Mapping[tuple[str, str], Comparison],
    workload: str,
) -> tuple[ArmReport, ...]:
    own = {arm.name: apart.get((workload, arm.name), Rows(reached=rows.reached)) for arm in spec.arms}
    untuned = _untuned(spec, own, workload)
    return tuple(
        arm_report(spec, own[arm.name], workload, arm.name, comparisons.get((workload, arm.name)), untuned)
        for arm in spec.arms
    )


def _untuned(spec: StudySpec, own: Mapping[str, Rows], workload: str) -> tuple[str, float] | None:
    """Return the fixed arm that searched ones break even with, the reference if it is one, with its search score."""
    fixed = [arm.name for arm in spec.arms if not arm.search]
    if not fixed:
        return None
    name = spec.protocol.reference if spec.protocol.reference in fixed else fixed[0]
    scores = search(spec, own[name], workload, name).scores
    return (name, scores[0].value) if scores else None


def _target(
    spec: StudySpec, apart: Mapping[tuple[str, str], Rows], workload: str, arms: Sequence[ArmReport]
) -> Target | None:
    own = [apart.get((workload, arm.arm), Rows()) for arm in arms]
    runs = tuple(run for rows in own for run in rows.runs)
    packs = tuple(pack for rows in own for pack in rows.packs)
    return target(spec, Rows(packs=packs, runs=runs), workload, arms)
