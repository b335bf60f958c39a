"""The commands `l4-studies keys`, which work directly on the database."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from service.cli import display
from service.errors import ServiceError
from service.roles import Role
from service.settings import read_settings

if TYPE_CHECKING:
    from service.auth.keys import ApiKeys

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys, directly in the database.")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Of its holder, the owner of what is posted with it.")],
    role: Annotated[Role, typer.Option(help="What its holder may do.")],
) -> None:
    """Make a key and print it; it is shown this once."""
    with _keys() as keys:
        key = keys.create(name, role, datetime.now(UTC))
    typer.echo(key)
    Console(stderr=True).print("It is shown this once: what is kept is only enough to recognise it.", highlight=False)


@app.command("list")
def list_command() -> None:
    """List the keys, revoked ones too."""
    with _keys() as keys:
        Console().print(display.key_table(keys.list_keys()))


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")]) -> None:
    """Make a key worth nothing from now on; the studies that were posted with it go on."""
    with _keys() as keys:
        row = keys.revoke(key_id, datetime.now(UTC))
    Console().print(f"Revoked {row.id} of {row.name}", highlight=False, markup=False)


@contextmanager
def _keys() -> Generator["ApiKeys"]:
    from service.auth.keys import open_api_keys  # noqa: PLC0415 - the other commands need no database

    try:
        with open_api_keys(read_settings()) as keys:
            yield keys
    except (ServiceError, OSError) as error:
        display.show_error(error)
        raise typer.Exit(1) from error
