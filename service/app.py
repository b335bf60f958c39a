"""The HTTP service: `python -m service.app`."""

import asyncio
import contextlib
import logging
import signal
import sys
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from starlette.middleware.exceptions import ExceptionMiddleware

from service.api.connections import MAX_WAITING, Connections, raise_file_limit
from service.api.event_watcher import EventWatcher
from service.api.limits import Computations, limit_streams
from service.api.middleware.authentication import FAILURES_PER_MINUTE, AuthenticationMiddleware
from service.api.middleware.rate_limit import RateLimiter
from service.api.middleware.request_log import RequestLogMiddleware
from service.api.middleware.security_headers import SecurityHeadersMiddleware
from service.api.middleware.unread_body import UnreadBodyMiddleware
from service.api.openapi import build_openapi
from service.api.problems import register_exception_handlers
from service.api.prometheus import PrometheusMetrics
from service.api.routes import (
    caller,
    catalogue,
    docs,
    events,
    logs,
    management,
    monitoring,
    plans,
    queue,
    reports,
    runs,
    studies,
    webhooks,
)
from service.errors import ServiceError
from service.home import prepare_home
from service.processes.json_logging import configure_json_logging
from service.settings import Settings, read_settings
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from service.web.routes import pages, session, static
from service.web.templating import PageTemplates
from service.webhooks.dispatcher import WebhookDispatcher
from service.webhooks.http_client import WebhookClient

log = logging.getLogger("service.app")  # as a program its name is `__main__`

_SUMMARY = "Settles whether an optimizer really beats tuned baselines."
#: Event streams have no end of their own, so a shutdown waits for them only this long.
_SHUTDOWN_SECONDS = 2
#: After that uvicorn waits for what its clients have left.
_MAX_SHUTDOWN_SECONDS = 5
_ROUTES = (
    *(studies, plans, queue, management, runs, events, logs, reports, catalogue, webhooks, monitoring, docs, caller),
    *(session, static, pages),
)


def create_app(settings: Settings, store: Store) -> FastAPI:
    """Return the application.

    Args:
        settings: The deployment's settings.
        store: The database, with its tables created.
    """
    app = FastAPI(title="L4 Studies", summary=_SUMMARY, version="1", openapi_url=None, redirect_slashes=False)
    app.state.settings = settings
    app.state.store = store
    app.state.event_watcher = EventWatcher(store)
    app.state.streams = limit_streams()
    app.state.computations = Computations()
    app.state.webhook_client = WebhookClient(allow_private=settings.webhooks_private)
    app.state.failure_limiter = RateLimiter(FAILURES_PER_MINUTE)
    app.state.templates = PageTemplates(settings)
    app.state.metrics = PrometheusMetrics(lambda: app.state.store)
    for module in _ROUTES:
        app.include_router(module.router)
    register_exception_handlers(app)
    _add_middleware(app, settings)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build_openapi(app, needs_keys=settings.needs_keys)
        return app.openapi_schema

    app.openapi = openapi
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    handlers = {kind: handler for kind, handler in app.exception_handlers.items() if kind is not Exception}
    # the innermost first; ExceptionMiddleware turns what authentication raises into problem+json, as for routes
    app.add_middleware(AuthenticationMiddleware, settings=settings)
    app.add_middleware(ExceptionMiddleware, handlers=handlers)
    app.add_middleware(SecurityHeadersMiddleware, no_store=settings.needs_keys)
    app.add_middleware(UnreadBodyMiddleware)
    app.add_middleware(RequestLogMiddleware, observe=app.state.metrics.observe_request)


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; requests in progress are completed first.

    Returns:
        The exit status: 1 if the service cannot start.
    """
    configure_json_logging("HTTP service")
    try:
        _serve(read_settings())
    except ServiceError as error:
        log.error("%s", error)
        return 1
    return 0


def _serve(settings: Settings) -> None:
    prepare_home(settings.home)
    engine = open_engine(settings.database_url)
    store = Store(engine)
    store.migrate()
    app = create_app(settings, store)
    dispatcher = WebhookDispatcher(store, app.state.webhook_client)
    dispatcher.start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: uvicorn returns from it
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_listen(app, settings))
    finally:
        dispatcher.stop()
    engine.dispose()


async def _listen(app: FastAPI, settings: Settings) -> None:
    connections = Connections(min(MAX_WAITING, raise_file_limit() // 2))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=cast(type[asyncio.Protocol], connections.open),  # uvicorn only calls it
            ws="none",
            access_log=False,  # RequestLogMiddleware logs requests
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_MAX_SHUTDOWN_SECONDS,
        )
    )
    closing = asyncio.create_task(connections.close_at_exit(server, _SHUTDOWN_SECONDS))
    await server.serve()
    closing.cancel()


if __name__ == "__main__":
    sys.exit(main())
