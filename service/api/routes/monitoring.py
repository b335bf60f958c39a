"""What Prometheus scrapes."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from service.api.authorization import needs, open_to_all
from service.api.dependencies import ExpositionGiven, StoreGiven
from service.api.negotiation import preferred
from service.api.problems import documented, only
from service.roles import Role
from service.schemas.studies import Health
from service.storage.repositories.runners import Runners

router = APIRouter(tags=["health"], dependencies=[Depends(needs(Role.READER))])
_ENCODERS: dict[str, tuple[Callable[[CollectorRegistry], bytes], str]] = {
    "text/plain": (exposition.generate_latest, exposition.CONTENT_TYPE_LATEST),
    "application/openmetrics-text": (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}
_CONTENT: dict[str, Any] = {media_type: {"schema": {"type": "string"}} for media_type in _ENCODERS}


@router.get("/metrics", response_class=Response, responses={200: {"content": _CONTENT}} | documented())
def scrape(exposed: ExpositionGiven, accept: Annotated[str, Header()] = "") -> Response:
    """Return what Prometheus scrapes, in its text format, or as OpenMetrics where Accept prefers that."""
    encode, content_type = _ENCODERS[preferred(accept, list(_ENCODERS)) or "text/plain"]
    return Response(encode(exposed.registry), headers={"Content-Type": content_type, "Vary": "Accept"})


health_router = APIRouter(tags=["health"], dependencies=[Depends(open_to_all)])


@health_router.get("/healthz", responses=only(HTTPStatus.TOO_MANY_REQUESTS))
async def alive() -> Health:
    """Return 200 as long as the process answers."""
    return Health(status="ok")


@health_router.get("/readyz", responses=only(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))
def ready(store: StoreGiven) -> Health:
    """Return 200 while a runner is at work; 503 with the reason where posted studies would only wait."""
    Runners(store).catalogue()
    Runners(store).require(datetime.now(UTC))
    return Health(status="ok")
