"""The client's methods for webhooks."""

from collections.abc import Sequence

from service.client.connection import Connection, parse_response, quote_segment
from service.schemas.webhooks import DeliveryResponse, NewWebhookResponse, WebhookRequest, WebhookResponse
from service.states import State


class WebhooksResource:
    """The webhooks of the service.

    Args:
        connection: The connection to the service.
    """

    def __init__(self, connection: Connection) -> None:
        """Keep the connection."""
        self._connection = connection

    def add(self, url: str, states: Sequence[State] = ()) -> NewWebhookResponse:
        """Add a webhook; its secret is in the response, this once.

        Args:
            url: The receiver's URL.
            states: The new states to report; all if empty.

        Raises:
            RequestRefusedError: The webhook has faults; the message lists all of them.
            UnreachableError: The service did not respond; so for all methods.
        """
        request = WebhookRequest.model_construct(url=url, states=tuple(states))  # the service validates it
        headers = {"Content-Type": "application/json"}
        content = request.model_dump_json().encode()
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
        """Have a test message sent to a webhook now, and return the receiver's response.

        Args:
            webhook_id: Its id.
        """
        return parse_response(
            DeliveryResponse, self._connection.request("POST", f"/webhooks/{quote_segment(webhook_id)}/test")
        )
