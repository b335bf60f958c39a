"""The command line, `l4-studies`: the service and its studies from a terminal."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service import screen, serve
from service.client import Client, Form
from service.errors import ServiceError
from service.plan_table import plan_table
from service.schemas import StudyAnswer
from service.settings import read_settings
from service.states import State

app = typer.Typer(
    help="Settles whether an optimizer really beats tuned baselines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="L4_URL", help="Where the service is; where `serve` has it if not given."),
]
StudyId = Annotated[str, typer.Argument(metavar="ID", help="The study's id, as `submit` and `list` show it.")]


@app.command("serve")
def serve_command() -> None:
    """Run the service on this machine until Ctrl-C."""
    raise typer.Exit(serve.main())


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database to this version's tables; `serve` does so itself."""
    from service.migrate import migrate_database  # noqa: PLC0415 - the other commands need no database

    try:
        revision = migrate_database(read_settings())
    except (ServiceError, OSError) as error:
        screen.show_error(error)
        raise typer.Exit(1) from error
    Console().print(f"The database is at revision {revision}", highlight=False)


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The study, as YAML or JSON.")],
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it has ended.")] = False,
    key: Annotated[
        str | None, typer.Option(help="Any text; submitted again with the same one it is the same study.")
    ] = None,
    url: Url = None,
) -> None:
    """Submit a study and print its id."""
    with _session(url) as (client, console):
        study = client.submit(file, key=key)
        console.print(study.id, highlight=False)
        for warning in study.warnings:
            console.print(f"[yellow]Warning:[/] {warning}", highlight=False)
        if wait:
            _watch(client, console, study.id)


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The study, as YAML or JSON.")],
    url: Url = None,
) -> None:
    """Show what a study would train, and about how long that would take; nothing is submitted."""
    with _session(url) as (client, console):
        console.print(plan_table(client.plan(file)))


@app.command("list")
def list_command(url: Url = None) -> None:
    """List the studies, newest first."""
    with _session(url) as (client, console):
        console.print(screen.study_list(client.studies()))


@app.command()
def show(study_id: StudyId, url: Url = None) -> None:
    """Show a study: its state, progress, protocol and links."""
    with _session(url) as (client, console):
        console.print(screen.study_summary(client.study(study_id), client.url))


@app.command()
def watch(study_id: StudyId, url: Url = None) -> None:
    """Watch a study until it has ended; Ctrl-C only stops the watching."""
    with _session(url) as (client, console):
        _watch(client, console, study_id)


@app.command()
def report(
    study_id: StudyId,
    form: Annotated[Form, typer.Option(help="Which form of it.")] = Form.MARKDOWN,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write, a Markdown report's figures beside it; standard output where not given."),
    ] = None,
    url: Url = None,
) -> None:
    """Print or save a study's report."""
    with _session(url) as (client, console):
        if out is None:
            sys.stdout.buffer.write(client.report(study_id, form))
            return
        client.save_report(study_id, out, form)
        console.print(f"Saved {out}", highlight=False)


@app.command()
def pause(study_id: StudyId, url: Url = None) -> None:
    """Hand out nothing more of a study; what is in training, or next in line, is finished."""
    _ask(url, lambda client: client.pause(study_id))


@app.command()
def resume(study_id: StudyId, url: Url = None) -> None:
    """Let a paused study go on."""
    _ask(url, lambda client: client.resume(study_id))


@app.command()
def cancel(study_id: StudyId, url: Url = None) -> None:
    """Stop a study now; what it has measured is kept."""
    _ask(url, lambda client: client.cancel(study_id))


@app.command()
def retry(study_id: StudyId, url: Url = None) -> None:
    """Queue a failed study again; it goes on from its finished runs."""
    _ask(url, lambda client: client.retry(study_id))


def _ask(url: str | None, verb: Callable[[Client], StudyAnswer]) -> None:
    with _session(url) as (client, console):
        console.print(screen.state_text(verb(client).state))


@contextmanager
def _session(url: str | None) -> Generator[tuple[Client, Console]]:
    try:
        with Client(url or read_settings().url) as client:
            yield client, Console()
    except (ServiceError, OSError) as error:
        screen.show_error(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _watch(client: Client, console: Console, study_id: str) -> None:
    study = client.study(study_id)
    with screen.progress_bar(console) as follow:
        for study in client.watch(study_id):
            follow(study)
    if study.reason:
        console.print(study.reason, highlight=False, markup=False)
    if study.state is not State.SUCCEEDED:
        raise typer.Exit(1)
    console.print(f"Its report: {client.url}{study.links.report}", highlight=False)


if __name__ == "__main__":
    app()
