"""One report of several studies: `python -m studies.reporting.bundle.joint FOLDER FOLDER ... --out FOLDER`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.errors import BundleError
from studies.records.rows import Rows
from studies.reporting.bundle.archive import read_rows, read_spec
from studies.reporting.bundle.files import write_files
from studies.reporting.bundle.merge import join_faults, joined_rows, joined_spec
from studies.reporting.bundle.rebuild import read_provenance
from studies.reporting.render import render
from studies.reporting.report import Provenance, Report, build_report
from studies.spec.study import StudySpec


def joint_report(studies: Sequence[tuple[StudySpec, Rows, Provenance]]) -> tuple[Report, Rows]:
    """Return the report of several studies, and the rows that it is drawn from.

    Args:
        studies: Specs without `join_faults`, rows with series, where each comes from.
    """
    spec = joined_spec([spec for spec, _, _ in studies])
    rows = joined_rows([(spec, rows) for spec, rows, _ in studies])
    sources = [provenance for _, _, provenance in studies]
    names = dict.fromkeys(name for each in sources for name in each.versions)
    versions = {name: [each.versions.get(name, "none") for each in sources] for name in names}
    whole = Provenance(
        study_id=", ".join(each.study_id for each in sources),
        spec_hash=spec.content_hash,
        started_at=min(each.started_at for each in sources),
        ended_at=max(each.ended_at for each in sources),
        versions={name: _once(found) for name, found in versions.items()},
        commit=_once([each.commit for each in sources]),
        hardware=_once([each.hardware for each in sources]),
    )
    report = build_report(spec, rows, whole)
    software = _mixed({"commit": [each.commit or "not known" for each in sources]} | versions)
    return report.model_copy(update={"warnings": (*software, *report.warnings)}), rows


def _mixed(software: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return what must be known where the studies were not run by the same commit and versions."""
    differing = [f"{name}: {_once(found)}" for name, found in software.items() if len(set(found)) > 1]
    if not differing:
        return ()
    return (
        f"The studies were not run by the same software, {'; '.join(differing)}. "
        "A difference between arms of two studies may come from that.",
    )


def _once(values: Sequence[str]) -> str:
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
        faults = join_faults(specs)
        if faults:
            raise BundleError("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        read = [(specs[str(folder)], read_rows(folder), read_provenance(folder)) for folder in folders]
        report, rows = joint_report(read)
        write_files(arguments.out, render(report, rows))
    except BundleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
