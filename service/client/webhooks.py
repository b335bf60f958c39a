"""The client's part for webhooks."""

from collections.abc import Sequence

from service.client.connection import Connection, parse_response, quote_segment
from service.schemas.webhooks import DeliveryResponse, NewWebhookResponse, WebhookRequest, WebhookResponse
from service.states import State


class WebhooksClient:
    """The webhooks of the service.

    Args:
        connection: To the service.
    """

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; nothing is asked yet."""
        self._connection = connection

    def add(self, url: str, states: Sequence[State] = ()) -> NewWebhookResponse:
        """Add a webhook; its secret is in the answer, this once.

        Args:
            url: Where to post what happens.
            states: The new states that it is told of; all where empty.

        Raises:
            RequestRefusedError: It has faults; all are in the message.
            UnreachableError: Nothing answers at the service's URL, as in all of these.
        """
        asked = WebhookRequest.model_construct(url=url, states=tuple(states))  # the service checks it
        headers = {"Content-Type": "application/json"}
        content = asked.model_dump_json().encode()
        return parse_response(
            NewWebhookResponse, self._connection.request("POST", "/webhooks", content=content, headers=headers)
        )

    def all(self) -> tuple[WebhookResponse, ...]:
        """Return the webhooks, oldest first."""
        return parse_response(tuple[WebhookResponse, ...], self._connection.request("GET", "/webhooks"))

    def remove(self, webhook_id: str) -> None:
        """Remove a webhook.

        Args:
            webhook_id: Its id.
        """
        self._connection.request("DELETE", f"/webhooks/{quote_segment(webhook_id)}")

    def test(self, webhook_id: str) -> DeliveryResponse:
        """Have something sent to a webhook now, and return what came back.

        Args:
            webhook_id: Its id.
        """
        return parse_response(
            DeliveryResponse, self._connection.request("POST", f"/webhooks/{quote_segment(webhook_id)}/test")
        )
