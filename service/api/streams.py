"""Dependencies of the routes that stream, which count as open until their response has been sent."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Query, Request

from service.api.authorization import ClientDep
from service.api.limits import ClientLimit

Follow = Annotated[bool, Query(description="Stream new lines until the study has ended.")]


async def count_stream(request: Request, client: ClientDep) -> AsyncIterator[None]:
    """Count a request as an open stream until its response has been sent.

    Raises:
        TooManyRequestsError: The client has too many.
    """
    with cast(ClientLimit, request.app.state.streams).hold(client):
        yield


async def count_followed(request: Request, client: ClientDep, follow: Follow = False) -> AsyncIterator[None]:
    """Count a request as an open stream if it follows a log.

    Raises:
        TooManyRequestsError: The client has too many.
    """
    if not follow:
        yield
        return
    async for _ in count_stream(request, client):
        yield


#: Of a route that streams.
STREAM = Depends(count_stream)
#: Of a route that streams with `follow`.
FOLLOWED = Depends(count_followed)
