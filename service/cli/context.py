"""What the commands that ask the service share: its address, a client, a console, and how errors are told."""

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


@contextmanager
def open_client(url: str | None, api_key: str | None) -> Generator[tuple[Client, Console]]:
    """Give a client and a console; errors are told on standard error, and end the command.

    Args:
        url: Where the service is; where the settings say if None.
        api_key: The key to use it with, where one is needed.
    """
    try:
        with Client(url or read_settings().url, key=api_key) as client:
            yield client, Console()
    except (ServiceError, OSError) as error:
        show_error(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
