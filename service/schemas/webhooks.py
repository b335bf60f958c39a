"""Request and response models of webhooks."""

from datetime import datetime
from typing import Annotated

import httpx
from pydantic import AfterValidator, Field

from service.schemas.problems import ResponseModel
from service.schemas.requests import RequestModel
from service.states import State


def _check_url(url: str) -> str:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it has characters that no URL has; quote them")
    try:
        # parsed by the library that will send to it
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"it is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ValueError("give a URL that begins with https:// or http:// and a host")
    if parts.userinfo:
        raise ValueError("it has a user or a password; what is sent is signed instead")
    if parts.port is not None and not 0 < parts.port < 65536:
        raise ValueError(f"no port has the number {parts.port}")
    return url


class WebhookRequest(RequestModel):
    """A webhook to add.

    Args:
        url: The receiver's URL.
        states: The new states to report; all if empty.
    """

    url: Annotated[str, Field(max_length=2000), AfterValidator(_check_url)]
    states: tuple[State, ...] = ()


class WebhookResponse(ResponseModel):
    """A webhook.

    Args:
        id: Its id.
        url: The receiver's URL.
        states: The new states to report; all if empty.
        created_at: When it was added (UTC).
        waiting: Number of messages still to deliver.
        failing_since: Time of the first failure since the last success; None if there is none.
        trouble: The reason of the last failure; empty if deliveries succeed.
        dropped: Number of messages given up after a day of failures.
    """

    id: str
    url: str
    states: tuple[State, ...]
    created_at: datetime
    waiting: int
    failing_since: datetime | None
    trouble: str
    dropped: int


class NewWebhookResponse(WebhookResponse):
    """A webhook that was just added.

    Args:
        secret: The key that signs its messages; shown only once.
    """

    secret: str


class DeliveryResponse(ResponseModel):
    """The result of a test delivery.

    Args:
        taken: Whether the receiver responded with a status of 200 to 299.
        status: The response's status, None if there was no response.
        detail: The response, or why there is none.
    """

    taken: bool
    status: int | None
    detail: str
