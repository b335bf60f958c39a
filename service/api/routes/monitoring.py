"""Liveness, readiness, and the metrics that Prometheus scrapes."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from service.api.authorization import RequireRole, allow_anonymous
from service.api.dependencies import MetricsDep, SettingsDep, StoreDep
from service.api.negotiation import preferred_media_type
from service.api.problems import problem_responses, public_problem_responses
from service.home import require_space
from service.roles import Role
from service.schemas.health import Health, Readiness
from service.storage.repositories.runners import Runners

router = APIRouter(tags=["health"])

_ENCODERS: dict[str, tuple[Callable[[CollectorRegistry], bytes], str]] = {
    "text/plain": (exposition.generate_latest, exposition.CONTENT_TYPE_LATEST),
    "application/openmetrics-text": (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}
_CONTENT: dict[str, Any] = {media_type: {"schema": {"type": "string"}} for media_type in _ENCODERS}


@router.get(
    "/metrics",
    dependencies=[Depends(RequireRole(Role.READER))],
    response_class=Response,
    responses={200: {"content": _CONTENT}} | problem_responses(),
)
def scrape(metrics: MetricsDep, accept: Annotated[str, Header()] = "") -> Response:
    """Return the metrics in Prometheus' text format, or as OpenMetrics if Accept prefers that."""
    encode, content_type = _ENCODERS[preferred_media_type(accept, list(_ENCODERS)) or "text/plain"]
    return Response(encode(metrics.registry), headers={"Content-Type": content_type, "Vary": "Accept"})


@router.get(
    "/healthz",
    dependencies=[Depends(allow_anonymous)],
    responses=public_problem_responses(HTTPStatus.TOO_MANY_REQUESTS),
)
async def alive() -> Health:
    """Return 200 as long as the process answers."""
    return Health(status="ok")


@router.get(
    "/readyz",
    dependencies=[Depends(allow_anonymous)],
    responses=public_problem_responses(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
)
def ready(store: StoreDep, settings: SettingsDep) -> Readiness:
    """Return 200 while a runner is active and has room; 503 with the reason if submitted studies would only wait."""
    require_space(settings.home)
    runners = Runners(store)
    runners.catalogue()
    unusable = runners.require_active(datetime.now(UTC))
    return Readiness(status="ok", unusable_machines=tuple(dict.fromkeys(machine.reason for machine in unusable)))
