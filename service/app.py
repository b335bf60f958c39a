"""The HTTP service: `python -m service.app`."""

import signal
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.middleware.exceptions import ExceptionMiddleware

from service import (
    routes_caller,
    routes_catalogue,
    routes_curves,
    routes_docs,
    routes_events,
    routes_health,
    routes_keeping,
    routes_logs,
    routes_metrics,
    routes_pages,
    routes_plan,
    routes_queue,
    routes_report,
    routes_reports,
    routes_runs,
    routes_session,
    routes_static,
    routes_studies,
    routes_webhooks,
)
from service.asked import CancelRequest, CloneRequest
from service.courier import Courier
from service.database import open_engine
from service.exposition import Exposition
from service.guard import FAILURES_A_MINUTE, Guard
from service.logs import log_as_json
from service.news import News
from service.outbound import Outbound
from service.pages import Pages
from service.problems import answer_with_problems
from service.rate_limit import RateLimit
from service.schemas import Problem
from service.security_headers import SecurityHeaders
from service.settings import Settings, read_settings
from service.store import Store
from service.timing import Timed
from service.webhook_schemas import WebhookRequest
from studies.spec import StudyDefinition

_SUMMARY = "Settles whether an optimizer really beats tuned baselines."
#: Streams of events have no end of their own.
_STOP_SECONDS = 2


def create_app(settings: Settings, store: Store) -> FastAPI:
    """Return the application.

    Args:
        settings: What the deployment chose.
        store: The database, its tables made.
    """
    app = FastAPI(title="L4 Studies", summary=_SUMMARY, version="1", openapi_url=None, redirect_slashes=False)
    app.state.settings = settings
    app.state.store = store
    app.state.news = News(store)
    app.state.outbound = Outbound(private=settings.webhooks_private)
    app.state.failures = RateLimit(FAILURES_A_MINUTE)
    app.state.pages = Pages(settings)
    app.state.exposition = Exposition(lambda: app.state.store)
    for routes in (
        routes_studies,
        routes_plan,
        routes_queue,
        routes_keeping,
        routes_runs,
        routes_events,
        routes_logs,
        routes_report,
        routes_reports,
        routes_catalogue,
        routes_webhooks,
        routes_health,
        routes_metrics,
        routes_docs,
        routes_caller,
        routes_session,
        routes_static,
        routes_pages,
        routes_curves,
    ):
        app.include_router(routes.router)
    answer_with_problems(app)
    expected = {kind: handler for kind, handler in app.exception_handlers.items() if kind is not Exception}
    # from the inside out; what the guard raises is answered as what a route raises
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(ExceptionMiddleware, handlers=expected)
    app.add_middleware(SecurityHeaders, no_store=settings.needs_keys)
    app.add_middleware(Timed, note=app.state.exposition.request)
    app.openapi = lambda: _document(app)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: FastAPI's, with our own words for what it cannot know."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, summary=app.summary, version=app.version, routes=app.routes)
        schemas = document["components"]["schemas"]
        needs_keys = cast(Settings, app.state.settings).needs_keys
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            if "security" in operation and not needs_keys:
                operation["security"].append({})  # or none
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]  # a path that does not fit is a 404 here
        del schemas["HTTPValidationError"], schemas["ValidationError"]
        schemas |= models_json_schema(
            [
                (StudyDefinition, "validation"),
                (CloneRequest, "validation"),
                (CancelRequest, "validation"),
                (WebhookRequest, "validation"),
                (Problem, "serialization"),
            ],
            ref_template="#/components/schemas/{model}",
        )[1]["$defs"]
        app.openapi_schema = document
    return app.openapi_schema


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are answered first."""
    log_as_json("HTTP service")
    settings = read_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database_url)
    store = Store(engine)
    store.migrate()
    app = create_app(settings, store)
    courier = Courier(store, app.state.outbound)
    courier.start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: uvicorn returns from it
    try:
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            ws="none",
            access_log=False,  # `Timed` has one
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    finally:
        courier.stop()
    engine.dispose()


if __name__ == "__main__":
    main()
