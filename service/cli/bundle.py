"""Commands that save a bundle, rebuild its report, and compare several studies."""

import sys
from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service.cli import display
from service.cli.context import ApiKey, StudyId, Url, open_client
from service.schemas.reports import ReportFormat
from studies.errors import BundleError
from studies.reporting.bundle.files import write_files

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The unpacked bundle.")]


def bundle(
    study_id: StudyId,
    out: Annotated[Path | None, typer.Option(help="The file to write; ID.zip if not given.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Save a zip of a study's report, its study file and all its rows."""
    path = out or Path(f"{study_id}.zip")
    with open_client(url, api_key) as (client, console):
        client.reports.save_bundle(study_id, path)
        console.print(f"Saved {path}", highlight=False)


def rebuild(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="The folder to write; `again` in the bundle's if not given.")] = None,
) -> None:
    """Compute the report of an unpacked bundle again from its rows, and say whether it is the same; asks no service."""
    from studies.environment import current_environment  # noqa: PLC0415 - slow imports that other commands do not need
    from studies.reporting.bundle.rebuild import read_provenance, rebuild_report  # noqa: PLC0415

    target = out or folder / "again"
    try:
        files = rebuild_report(folder)
        write_files(target, files)
        identical = (folder / "report" / "report.json").read_bytes() == files["report.json"]
    except (BundleError, OSError) as error:
        display.show_error(error)
        raise typer.Exit(1) from error
    Console().print(f"Wrote {target}", highlight=False)
    if not identical:
        commits = [commit or "not known" for commit in (read_provenance(folder).commit, current_environment().commit)]
        reason = f"that was computed at commit {commits[0]}, and this is {commits[1]}; or something of it was changed"
        display.show_error(BundleError(f"it is not the bundle's report: {reason}"))
        raise typer.Exit(1)
    Console().print("It is byte for byte the bundle's report.json", highlight=False)


def compare(
    ids: Annotated[list[str], typer.Argument(metavar="ID ID...", help="Ids of studies of one protocol.")],
    form: Annotated[ReportFormat, typer.Option(help="Which form of it.")] = ReportFormat.MARKDOWN,
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output where not given.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Print or save one report of several studies, or say why they cannot be compared."""
    with open_client(url, api_key) as (client, console):
        content = BytesIO()
        client.reports.save_joint(ids, content, form)
        if out is None:
            sys.stdout.buffer.write(content.getvalue())
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(content.getvalue())
            console.print(f"Saved {out}", highlight=False)
