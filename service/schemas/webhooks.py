"""What is posted and answered of webhooks, shared with the client."""

from datetime import datetime
from typing import Annotated

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.states import State


def _receiver(url: str) -> str:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it has characters that no URL has; quote them")
    try:
        # read as what sends to it reads it
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


class WebhookRequest(BaseModel):
    """A webhook as it is posted.

    Args:
        url: Where to post what happens.
        states: The new states of studies that it is told of; all where empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(max_length=2000), AfterValidator(_receiver)]
    states: tuple[State, ...] = ()


class WebhookResponse(BaseModel):
    """A webhook.

    Args:
        id: Its id.
        url: Where what happens is posted.
        states: The new states of studies that it is told of; all where empty.
        created_at: When it was added (UTC).
        waiting: How much it is still to be told.
        failing_since: When it first did not take what is sent again since; None where all is well.
        trouble: Why it did not take it, in words; empty where all is well.
        dropped: How much it was never told, since it did not take it for a day.
    """

    model_config = ConfigDict(frozen=True)

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
        secret: What it is told is signed with; it is shown this once.
    """

    secret: str


class DeliveryResponse(BaseModel):
    """What came back of a test.

    Args:
        taken: Whether the receiver answered with a status of 200 to 299.
        status: The answer's status, None where there was none.
        detail: What came back, or why nothing did, in words.
    """

    model_config = ConfigDict(frozen=True)

    taken: bool
    status: int | None
    detail: str
