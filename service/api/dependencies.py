"""Dependencies and parameter types that several routes share."""

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import Depends, Header, Path, Query, Request

from service.api.event_watcher import EventWatcher
from service.api.limits import Computations
from service.api.prometheus import PrometheusMetrics
from service.schemas.requests import NO_NUL
from service.settings import Settings
from service.states import State
from service.storage.repositories.studies import Store
from service.webhooks.http_client import WebhookClient


def _get_store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


def _get_metrics(request: Request) -> PrometheusMetrics:
    return cast(PrometheusMetrics, request.app.state.metrics)


def _get_webhook_client(request: Request) -> WebhookClient:
    return cast(WebhookClient, request.app.state.webhook_client)


def _get_settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


def _get_computations(request: Request) -> Computations:
    return cast(Computations, request.app.state.computations)


def _get_event_watcher(request: Request) -> EventWatcher:
    return cast(EventWatcher, request.app.state.event_watcher)


StoreDep = Annotated[Store, Depends(_get_store)]
WebhookClientDep = Annotated[WebhookClient, Depends(_get_webhook_client)]
MetricsDep = Annotated[PrometheusMetrics, Depends(_get_metrics)]
SettingsDep = Annotated[Settings, Depends(_get_settings)]
ComputationsDep = Annotated[Computations, Depends(_get_computations)]
EventWatcherDep = Annotated[EventWatcher, Depends(_get_event_watcher)]
Limit = Annotated[int, Query(ge=1, le=200, description="Maximum number of items in the page.")]
Cursor = Annotated[str | None, Query(max_length=64, description="`next_cursor` of the previous page.")]
States = Annotated[
    Sequence[State], Query(description="Only studies in one of these states; may be given several times.")
]
NamePart = Annotated[
    str,
    Query(max_length=100, pattern=NO_NUL, description="Only studies whose name contains this text; case-insensitive."),
]
StudyId = Annotated[str, Path(description="The study's id.", examples=["00063f7ac1d3e8a1b2c3"])]
RunId = Annotated[str, Path(description="The run's id within the study.", examples=["3-0"])]
WebhookId = Annotated[str, Path(description="The webhook's id.")]
IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="The same key with the same body gives the same study; with another body or priority, 422.",
    ),
]
