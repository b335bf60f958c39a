"""The report of a study as data, which its JSON serializes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from studies.analysis.aggregate import Aggregate
from studies.analysis.arm_report import ArmReport
from studies.analysis.time_to_target import Target
from studies.frozen_model import FrozenModel
from studies.planning.estimate import Estimate
from studies.spec.study import StudySpec

#: Version of the report's JSON, incremented by changes that break readers of the former version.
SCHEMA_VERSION = 1


class Provenance(FrozenModel):
    """The provenance of a report: with the spec, enough to run the study again.

    All that differs between two studies of the same spec is here or in a field named `seconds`.

    Args:
        study_id: The study's id.
        spec_hash: SHA-256 of the spec without the name.
        started_at: When training began (UTC).
        ended_at: When the last run was done (UTC).
        versions: Versions of the packages that decide results, by package.
        commit: Commit of this project's source; empty if unknown.
        hardware: The machine the study was driven from.
        hosts: Machines and devices that trained packs, from the rows.
        mixed: Warning about mixed hardware; empty for a single host.
        elapsed_seconds: Seconds for which the study was RUNNING; None if unknown.
        estimate: Estimate of the study's cost when it started; None without one.
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
        headline: The finding in a sentence: an arm compared with the best tuned one.
        verdict: The finding on every arm in plain sentences.
        target: The target that steps are counted to; None without one.
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
        schema_version: See `SCHEMA_VERSION`.
        headline: The finding in a sentence.
        complete: Whether every search and every confirm seed is done.
        cut_short: What the budget left out; empty if nothing.
        warnings: Reasons to distrust numbers of the report.
        notes: How to read the numbers.
        methods: The methods section, by paragraph.
        workloads: In the spec's order.
        across: Aggregates over the workloads; None for a single workload or arm.
        spec: The whole spec.
        search_seeds: Seeds of every search run.
        confirm_seeds: Seeds of every confirm run.
        provenance: The provenance of the report.
    """

    schema_version: Literal[1]
    headline: str
    complete: bool
    cut_short: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    methods: tuple[str, ...]
    workloads: tuple[WorkloadReport, ...]
    across: Aggregate | None
    spec: StudySpec
    search_seeds: tuple[int, ...]
    confirm_seeds: tuple[int, ...]
    provenance: Provenance
