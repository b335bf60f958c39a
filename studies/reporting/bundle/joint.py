"""One report of several studies: `python -m studies.reporting.bundle.joint FOLDER FOLDER ... --out FOLDER`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.errors import BundleError
from studies.records.rows import Rows
from studies.reporting.builder import build_report
from studies.reporting.bundle.archive import read_rows, read_spec
from studies.reporting.bundle.files import write_files
from studies.reporting.bundle.merge import merge_faults, merge_rows, merge_specs
from studies.reporting.bundle.rebuild import read_provenance
from studies.reporting.render import render
from studies.reporting.report import Provenance, Report
from studies.spec.study import StudySpec


def build_joint_report(studies: Sequence[tuple[StudySpec, Rows, Provenance]]) -> tuple[Report, Rows]:
    """Return the report of several studies, and the rows that it is drawn from.

    Args:
        studies: Specs without `merge_faults`, rows with series, provenances.
    """
    spec = merge_specs([spec for spec, _, _ in studies])
    rows = merge_rows([(spec, rows) for spec, rows, _ in studies])
    sources = [provenance for _, _, provenance in studies]
    names = dict.fromkeys(name for source in sources for name in source.versions)
    versions = {name: [source.versions.get(name, "none") for source in sources] for name in names}
    provenance = Provenance(
        study_id=", ".join(source.study_id for source in sources),
        spec_hash=spec.content_hash,
        started_at=min(source.started_at for source in sources),
        ended_at=max(source.ended_at for source in sources),
        versions={name: _distinct(values) for name, values in versions.items()},
        commit=_distinct([source.commit for source in sources]),
        hardware=_distinct([source.hardware for source in sources]),
    )
    report = build_report(spec, rows, provenance)
    software_warnings = _software_warnings({"commit": [source.commit or "not known" for source in sources]} | versions)
    return report.model_copy(update={"warnings": (*software_warnings, *report.warnings)}), rows


def _software_warnings(software: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a warning if the studies were not run by the same commit and versions."""
    differing = [f"{name}: {_distinct(values)}" for name, values in software.items() if len(set(values)) > 1]
    if not differing:
        return ()
    return (
        f"The studies were not run by the same software, {'; '.join(differing)}. "
        "A difference between arms of two studies may come from that.",
    )


def _distinct(values: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(values))


def main() -> int:
    """Read bundles, write the files of their joint report.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="unpacked bundles")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    arguments = parser.parse_args()
    folders: list[Path] = arguments.folders
    try:
        specs = {str(folder): read_spec(folder) for folder in folders}
        faults = merge_faults(specs)
        if faults:
            raise BundleError("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        studies = [(specs[str(folder)], read_rows(folder), read_provenance(folder)) for folder in folders]
        report, rows = build_joint_report(studies)
        write_files(arguments.out, render(report, rows))
    except BundleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
