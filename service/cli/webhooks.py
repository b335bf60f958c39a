"""The commands `l4-studies webhooks`."""

from typing import Annotated

import typer

from service.cli import display
from service.cli.context import ApiKey, Url, open_client
from service.states import State

app = typer.Typer(help="Who is told when a study has a new state.", no_args_is_help=True)

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, as `add` and `list` show it.")]


@app.command()
def add(
    address: Annotated[str, typer.Argument(metavar="URL", help="Where to post what happens.")],
    state: Annotated[list[State] | None, typer.Option(help="Only this new state; may be given several times.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Add a webhook and print its id and its secret, which is shown this once."""
    with open_client(url, api_key) as (client, console):
        added = client.webhooks.add(address, state or ())
        console.print(f"{added.id}\n{added.secret}", highlight=False)


@app.command("list")
def list_command(url: Url = None, api_key: ApiKey = None) -> None:
    """List the webhooks, oldest first, and how they are."""
    with open_client(url, api_key) as (client, console):
        console.print(display.webhook_table(client.webhooks.all()))


@app.command()
def remove(webhook_id: WebhookId, url: Url = None, api_key: ApiKey = None) -> None:
    """Remove a webhook: it is told nothing more."""
    with open_client(url, api_key) as (client, _):
        client.webhooks.remove(webhook_id)


@app.command("test")
def send_test(webhook_id: WebhookId, url: Url = None, api_key: ApiKey = None) -> None:
    """Send a webhook something now, and print what came back."""
    with open_client(url, api_key) as (client, console):
        answer = client.webhooks.test(webhook_id)
        console.print(answer.detail, highlight=False, markup=False)
    if not answer.taken:
        raise typer.Exit(1)
