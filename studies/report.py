"""The report of a study: a pure function of its spec, its rows and where they come from."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from studies import budget, statements
from studies.arm_report import ArmReport, arm_report
from studies.compare import compare
from studies.estimate import Estimate
from studies.rows import Rows, by_arm
from studies.spec import StudySpec


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Provenance(_Frozen):
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
    elapsed_seconds: float | None = None
    estimate: Estimate | None = None


class WorkloadReport(_Frozen):
    """A workload's part of a report.

    Args:
        workload: Its name within the study.
        verdict: The finding in plain sentences.
        arms: In the spec's order.
    """

    workload: str
    verdict: str
    arms: tuple[ArmReport, ...]


class Report(_Frozen):
    """The comparison computed from a study's runs.

    Args:
        complete: Whether every search and every confirm seed is done.
        cut_short: What the budget left out; empty where it left out nothing.
        warnings: What must be known before the numbers are believed.
        notes: How the numbers are to be read.
        workloads: In the spec's order.
        spec: The whole spec.
        search_seeds: Seeds of every search run.
        confirm_seeds: Seeds of every confirm run.
        provenance: Where the report comes from.
    """

    complete: bool
    cut_short: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    workloads: tuple[WorkloadReport, ...]
    spec: StudySpec
    search_seeds: tuple[int, ...]
    confirm_seeds: tuple[int, ...]
    provenance: Provenance


def build_report(spec: StudySpec, rows: Rows, provenance: Provenance) -> Report:
    """Return the report of a study, finished or not.

    Args:
        spec: The study.
        rows: Its rows; the runs need no series.
        provenance: Where they come from.
    """
    comparisons, apart = compare(spec, rows), by_arm(rows)
    arms = {
        workload.name: tuple(
            arm_report(
                spec,
                apart.get((workload.name, arm.name), Rows(reached=rows.reached)),
                workload.name,
                arm.name,
                comparisons.get((workload.name, arm.name)),
            )
            for arm in spec.arms
        )
        for workload in spec.workloads
    }
    found = [text for name, each in arms.items() for text in statements.warnings(spec, name, each)]
    cut_short = statements.cut_short(spec, arms, rows.reached)
    return Report(
        complete=all(arm.complete and not arm.search.cut for each in arms.values() for arm in each),
        cut_short=cut_short,
        warnings=(*((cut_short,) if cut_short else ()), *spec.warnings(), *budget.warnings(spec), *found),
        notes=statements.notes(spec),
        workloads=tuple(
            WorkloadReport(workload=name, verdict=statements.verdict(spec, each), arms=each)
            for name, each in arms.items()
        ),
        spec=spec,
        search_seeds=spec.search_seeds,
        confirm_seeds=spec.confirm_seeds,
        provenance=provenance.model_copy(
            update={"hosts": tuple(sorted({pack.host for pack in rows.packs if pack.host}))}
        ),
    )
