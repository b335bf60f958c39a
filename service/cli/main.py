"""The command line `l4-studies`."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service.cli import bundle, display, keys, serve, webhooks
from service.cli.context import ApiKey, StudyId, Url, open_client
from service.cli.plan_table import plan_table
from service.cli.watch import live_view
from service.client.client import Client
from service.errors import ServiceError
from service.schemas.reports import ReportFormat
from service.schemas.studies import StudyResponse
from service.settings import read_settings
from service.states import State

app = typer.Typer(
    help="Settles whether an optimizer really beats tuned baselines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(webhooks.app, name="webhooks")

Key = Annotated[str | None, typer.Option(help="Any text; submitted again with the same one it is the same study.")]
Name = Annotated[str | None, typer.Option(help="Another title.")]
States = Annotated[list[State] | None, typer.Option("--state", help="In this state; may be given several times.")]
NamePart = Annotated[str, typer.Option("--name", help="A part of the name, in capitals or not.")]

app.add_typer(keys.app, name="keys")
app.command("bundle")(bundle.bundle)
app.command("rebuild")(bundle.rebuild)
app.command("compare")(bundle.compare)


@app.command("serve")
def serve_command() -> None:
    """Run the service on this machine until Ctrl-C."""
    raise typer.Exit(serve.main())


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database to this version's tables; `serve` does so itself."""
    from service.storage.migrate import migrate_database  # noqa: PLC0415 - the other commands need no database

    try:
        revision = migrate_database(read_settings())
    except (ServiceError, OSError) as error:
        display.show_error(error)
        raise typer.Exit(1) from error
    Console().print(f"The database is at revision {revision}", highlight=False)


@app.command("init")
def init_command() -> None:
    """Make the database's tables and a first admin key, and say what to do next."""
    from service.cli.bootstrap import initialize  # noqa: PLC0415 - the other commands need no database

    try:
        text = initialize(read_settings(), datetime.now(UTC))
    except (ServiceError, OSError) as error:
        display.show_error(error)
        raise typer.Exit(1) from error
    typer.echo(text)


@app.command()
def fetch(
    workloads: Annotated[list[str] | None, typer.Argument(metavar="[WORKLOAD]...", help="As in study files.")] = None,
) -> None:
    """Put the data sets of workloads into the data directory, before studies need them."""
    if not workloads:
        return  # a deployment without a list of workloads calls it so
    from studies.errors import StudiesError  # noqa: PLC0415 - the other commands need no torch
    from studies.registry import download_workloads  # noqa: PLC0415

    try:
        download_workloads(workloads, read_settings().data_dir)
    except (ServiceError, StudiesError) as error:
        display.show_error(error)
        raise typer.Exit(1) from error


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The study, as YAML or JSON.")],
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it has ended.")] = False,
    key: Key = None,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="The higher the sooner it is taken up.")] = 0,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Submit a study and print its id."""
    with open_client(url, api_key) as (client, console):
        study = client.submit(file, key=key, priority=priority)
        console.print(study.id, highlight=False)
        for warning in study.warnings:
            console.print(f"[yellow]Warning:[/] {warning}", highlight=False)
        if wait:
            _watch(client, console, study.id)


@app.command()
def clone(study_id: StudyId, name: Name = None, key: Key = None, url: Url = None, api_key: ApiKey = None) -> None:
    """Submit a study's spec once more and print the new study's id."""
    with open_client(url, api_key) as (client, console):
        console.print(client.clone(study_id, name=name, key=key).id, highlight=False)


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The study, as YAML or JSON.")],
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Show what a study would train, and about how long that would take; nothing is submitted."""
    with open_client(url, api_key) as (client, console):
        console.print(plan_table(client.plan(file)))


@app.command("list")
def list_command(
    states: States = None,
    name: NamePart = "",
    archived: Annotated[bool, typer.Option("--archived", help="Those that were archived, and not the others.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """List the studies, newest first."""
    with open_client(url, api_key) as (client, console):
        console.print(display.study_table(client.studies(states=states or (), name=name, archived=archived)))


@app.command("queue")
def queue_command(url: Url = None, api_key: ApiKey = None) -> None:
    """List the studies that wait, in the order in which they will be taken up."""
    with open_client(url, api_key) as (client, console):
        queue = client.queue()
        console.print(display.queue_table(queue.studies))
        console.print(f"{queue.total} in the queue", highlight=False)


@app.command()
def show(study_id: StudyId, url: Url = None, api_key: ApiKey = None) -> None:
    """Show a study: its state, progress, protocol and links."""
    with open_client(url, api_key) as (client, console):
        console.print(display.study_summary(client.study(study_id), client.url))


@app.command()
def watch(study_id: StudyId, url: Url = None, api_key: ApiKey = None) -> None:
    """Watch a study until it has ended; Ctrl-C only stops the watching."""
    with open_client(url, api_key) as (client, console):
        _watch(client, console, study_id)


@app.command()
def logs(
    study_id: StudyId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the study has ended.")] = False,
    lines: Annotated[int, typer.Option(min=0, max=10_000, help="Most lines from its end.")] = 1000,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Only what is about this run's pack.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Print the end of what a study's driver and workers say."""
    if follow and run is not None:
        raise typer.BadParameter("a run that is done has all of its lines; leave out --follow or --run")
    with open_client(url, api_key) as (client, _):
        for line in client.logs(study_id, run_id=run, lines=lines, follow=follow):
            typer.echo(line)


@app.command()
def report(
    study_id: StudyId,
    form: Annotated[ReportFormat, typer.Option(help="Which form of it.")] = ReportFormat.MARKDOWN,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write, a Markdown report's figures beside it; standard output where not given."),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Print or save a study's report."""
    with open_client(url, api_key) as (client, console):
        if out is None:
            sys.stdout.buffer.write(client.report(study_id, form))
            return
        client.save_report(study_id, out, form)
        console.print(f"Saved {out}", highlight=False)


@app.command()
def pause(study_id: StudyId, url: Url = None, api_key: ApiKey = None) -> None:
    """Hand out nothing more of a study; what is in training, or next in line, is finished."""
    _run_command(url, api_key, lambda client: client.pause(study_id))


@app.command()
def resume(study_id: StudyId, url: Url = None, api_key: ApiKey = None) -> None:
    """Let a paused study go on."""
    _run_command(url, api_key, lambda client: client.resume(study_id))


@app.command()
def cancel(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of studies.")] = None,
    states: States = None,
    name: NamePart = "",
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Stop studies now, by their ids, or by state and name; what they have measured is kept."""
    study_ids = ids or []
    if len(study_ids) == 1 and not states and not name:
        _run_command(url, api_key, lambda client: client.cancel(study_ids[0]))
        return
    with open_client(url, api_key) as (client, console):
        refused, more = False, True
        while more:
            result = client.cancel_all(study_ids, states=states or (), name=name)
            console.print(display.cancelled_table(result.studies))
            refused, more = refused or any(study.problem for study in result.studies), result.more
        if refused:
            raise typer.Exit(1)


@app.command()
def retry(study_id: StudyId, url: Url = None, api_key: ApiKey = None) -> None:
    """Queue a failed study again; it goes on from its finished runs."""
    _run_command(url, api_key, lambda client: client.retry(study_id))


@app.command()
def archive(study_id: StudyId, url: Url = None, api_key: ApiKey = None) -> None:
    """Leave an ended study out of the list; `list --archived` has it."""
    _run_command(url, api_key, lambda client: client.archive(study_id))


@app.command()
def unarchive(study_id: StudyId, url: Url = None, api_key: ApiKey = None) -> None:
    """Bring an archived study back into the list."""
    _run_command(url, api_key, lambda client: client.unarchive(study_id))


@app.command()
def delete(
    study_id: StudyId,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Its experiment in MLflow too.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Delete an ended study, with its runs, report and files."""
    with open_client(url, api_key) as (client, console):
        client.delete(study_id, mlflow=mlflow)
        console.print(f"Deleted {study_id}", highlight=False)


def _run_command(url: str | None, api_key: str | None, command: Callable[[Client], StudyResponse]) -> None:
    with open_client(url, api_key) as (client, console):
        console.print(display.state_text(command(client).state))


def _watch(client: Client, console: Console, study_id: str) -> None:
    study = None
    with live_view(console) as update:
        for study in client.watch(study_id):
            update(study)
    assert study is not None  # it is yielded at least once
    if study.reason:
        console.print(study.reason, highlight=False, markup=False)
    if study.state is not State.SUCCEEDED:
        raise typer.Exit(1)
    console.print(f"Its report: {client.url}{study.links.report}", highlight=False)


if __name__ == "__main__":
    app()
