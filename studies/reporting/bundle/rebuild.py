"""Rebuilds a report from the rows of its bundle."""

from pathlib import Path

from pydantic import ValidationError

from studies.errors import BundleError
from studies.reporting.builder import build_report
from studies.reporting.bundle.archive import read_rows, read_spec
from studies.reporting.render import render
from studies.reporting.report import Provenance


def rebuild_report(folder: Path) -> dict[str, bytes]:
    """Return the report's files by name, computed from an unpacked bundle's spec, rows and provenance alone.

    Args:
        folder: Of the bundle.

    Raises:
        BundleError: A file is missing, or cannot be read.
    """
    provenance, rows = read_provenance(folder), read_rows(folder)
    return render(build_report(read_spec(folder), rows, provenance), rows)


def read_provenance(folder: Path) -> Provenance:
    """Return the provenance of an unpacked bundle.

    Args:
        folder: Of the bundle.

    Raises:
        BundleError: The file is missing, or cannot be read.
    """
    try:
        return Provenance.model_validate_json((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise BundleError(f"{folder / 'provenance.json'} cannot be read: {error}") from error
