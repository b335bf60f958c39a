"""The HTTP service: `python -m service.app`."""

import signal
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.middleware.exceptions import ExceptionMiddleware

from service.api.event_watcher import News
from service.api.middleware.authentication import FAILURES_A_MINUTE, Guard
from service.api.middleware.rate_limit import RateLimit
from service.api.middleware.request_log import Timed
from service.api.middleware.security_headers import SecurityHeaders
from service.api.problems import answer_with_problems
from service.api.prometheus import Exposition
from service.api.routes import caller as routes_caller
from service.api.routes import catalogue as routes_catalogue
from service.api.routes import docs as routes_docs
from service.api.routes import events as routes_events
from service.api.routes import logs as routes_logs
from service.api.routes import management as routes_keeping
from service.api.routes import monitoring as routes_health
from service.api.routes import monitoring as routes_metrics
from service.api.routes import plans as routes_plan
from service.api.routes import queue as routes_queue
from service.api.routes import reports as routes_report
from service.api.routes import reports as routes_reports
from service.api.routes import runs as routes_runs
from service.api.routes import studies as routes_studies
from service.api.routes import webhooks as routes_webhooks
from service.processes.json_logging import log_as_json
from service.schemas.problems import Problem
from service.schemas.requests import CancelRequest, CloneRequest
from service.schemas.webhooks import WebhookRequest
from service.settings import Settings, read_settings
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from service.web.routes import pages as routes_pages
from service.web.routes import session as routes_session
from service.web.routes import static as routes_static
from service.web.templating import Pages
from service.webhooks.dispatcher import Courier
from service.webhooks.http_client import Outbound
from studies.spec.definition import StudyDefinition

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
        routes_catalogue,
        routes_webhooks,
        routes_metrics,
        routes_docs,
        routes_caller,
        routes_session,
        routes_static,
        routes_pages,
    ):
        app.include_router(routes.router)
    for extra in (routes_runs.curves_router, routes_health.health_router, routes_reports.joint_router):
        app.include_router(extra)
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
