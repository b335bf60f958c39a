"""What commands share: common options, a client and console, and error messages."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from service.cli.display import show_error
from service.client.client import Client
from service.errors import ServiceError
from service.settings import read_settings

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="L4_URL", help="Where the service is; where `serve` has it if not given."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key", envvar="L4_API_KEY", help="The key to use it with; safer in the environment than as an argument."
    ),
]
StudyId = Annotated[str, typer.Argument(metavar="ID", help="The study's id, as `submit` and `list` show it.")]


@contextmanager
def open_client(url: str | None, api_key: str | None) -> Generator[tuple[Client, Console]]:
    """Yield a client and a console; an error is printed on standard error, and ends the command.

    Args:
        url: The service's URL; from the settings if None.
        api_key: The API key, if one is needed.
    """
    try:
        with Client(url or read_settings().url, key=api_key) as client:
            yield client, Console()
    except (ServiceError, OSError) as error:
        show_error(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
