"""Writes and reads bundles: a zip of a report, its spec and rows, and all that it takes to run the study again."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pydantic import ValidationError

from studies.errors import BundleError
from studies.records import csv as row_files
from studies.records.rows import Limit, Rows, Series
from studies.spec.study import StudySpec
from studies.validation.definition_from_spec import definition_from_spec

#: Version of the row files; no other can be read.
FORMAT = 1
README = """\
# {name}

Study `{study_id}`, spec hash `{spec_hash}`. Everything that its report was computed from is here.

| | |
| --- | --- |
| `report/` | the report as HTML, Markdown, JSON, CSV and LaTeX, its pictures as SVG and PNG |
| `study.json` | the study file, with every value given: posted again it is the same spec |
| `spec.json` | the spec |
| `provenance.json` | study, hash, times, commit, versions, hardware |
| `constraints.txt` | the version of every package it was trained and reported with |
| `rows/` | trials, packs, runs and series (a line a point) as CSV; numbers read back exactly |

## Compute the report again

With Python 3.11 and the source of L4 Studies at commit `{commit}`, in its folder:

    python3.11 -m venv .venv && . .venv/bin/activate
    pip install -c BUNDLE/constraints.txt -e '.[all]'
    l4-studies rebuild BUNDLE --out again

`again/report.json` is then byte for byte the `report/report.json` here, and the command says so. A release of torch for
one kind of hardware may need its own index, as in `--extra-index-url https://download.pytorch.org/whl/cpu`.

## Run the study again

    l4-studies serve                          # in one terminal
    l4-studies submit BUNDLE/study.json --wait   # in another: a new study of the same spec hash

On the same kind of hardware with the same versions the numbers are the same; the report says on what it ran.
"""


def write_bundle(
    target: IO[bytes],
    *,
    spec: StudySpec,
    rows: Rows,
    series: Iterable[tuple[int, int, Series]],
    files: Mapping[str, bytes],
) -> None:
    """Write a study's bundle, the same bytes for the same study.

    Args:
        target: The file to write to.
        spec: The study.
        rows: Its rows; the runs need no series.
        series: Every series with its run's pack and lane, in any order that keeps those of a run in theirs.
        files: The report's files by name, `constraints.txt` among them where it was kept.
    """
    provenance = json.loads(files["report.json"])["provenance"]
    about = {"format": FORMAT, "reached": rows.reached}
    readme = README.format(
        name=spec.name,
        study_id=provenance["study_id"],
        spec_hash=spec.content_hash,
        commit=provenance["commit"] or "not known",
    )
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name, text in {
            "README.md": readme,
            "study.json": _json(definition_from_spec(spec).model_dump(mode="json")),
            "spec.json": _json(spec.model_dump(mode="json")),
            "provenance.json": _json(provenance),
            "rows/about.json": _json(about),
        }.items():
            archive.writestr(_entry(name), text)
        for name, content in sorted(files.items()):
            archive.writestr(_entry(name if name == "constraints.txt" else f"report/{name}"), content)
        _write(archive, "trials", row_files.TRIAL_COLUMNS, map(row_files.trial_record, rows.trials))
        _write(archive, "packs", row_files.PACK_COLUMNS, map(row_files.pack_record, rows.packs))
        names = sorted({name for run in rows.runs for name in run.metrics})
        _write(
            archive, "runs", (*row_files.RUN_COLUMNS, *names), (row_files.run_record(run, names) for run in rows.runs)
        )
        _write(archive, "series", row_files.SERIES_COLUMNS, row_files.point_records(series))


def read_spec(folder: Path) -> StudySpec:
    """Return the spec of an unpacked bundle.

    Args:
        folder: Of the bundle.

    Raises:
        BundleError: There is none, or it cannot be read.
    """
    try:
        return StudySpec.model_validate_json(_text(folder, "spec.json"))
    except ValidationError as error:
        raise BundleError(f"{folder / 'spec.json'} is no spec of this version: {error}") from error


def read_rows(folder: Path) -> Rows:
    """Return the rows of an unpacked bundle, exactly those that were written, the runs with their series.

    Args:
        folder: Of the bundle.

    Raises:
        BundleError: A file is missing, or cannot be read.
    """
    try:
        about = json.loads(_text(folder, "rows/about.json"))
        if about["format"] != FORMAT:
            raise BundleError(f"the rows are of format {about['format']}, and this version reads {FORMAT}")
        series = row_files.read_series(_records(folder, "series"))
        return Rows(
            trials=tuple(row_files.read_trial(record) for record in _records(folder, "trials")),
            packs=tuple(row_files.read_pack(record) for record in _records(folder, "packs")),
            runs=tuple(row_files.read_run(record, series) for record in _records(folder, "runs")),
            reached=None if about["reached"] is None else Limit(about["reached"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"the rows in {folder / 'rows'} cannot be read, {error!r}; unpack the bundle again"
        ) from error


def _entry(name: str) -> ZipInfo:
    # without a time stamp, so that the bytes are reproducible
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write(archive: ZipFile, name: str, columns: Sequence[str], records: Iterable[Sequence[object]]) -> None:
    with (
        archive.open(_entry(f"rows/{name}.csv"), "w", force_zip64=True) as file,
        io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(records)


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(f"{folder} is no unpacked bundle: {error}") from error


def _records(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """Yield the lines of a file, by column, as they are read."""
    try:
        with (folder / "rows" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    except OSError as error:
        raise BundleError(f"{folder} is no unpacked bundle: {error}") from error
