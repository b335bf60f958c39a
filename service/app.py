"""The HTTP service: `python -m service.app`."""

from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service import routes_catalogue, routes_events, routes_health, routes_plan, routes_report, routes_studies
from service.database import open_engine
from service.problems import answer_with_problems
from service.schemas import Problem
from service.settings import Settings
from service.store import Store
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
    app = FastAPI(title="L4 Studies", summary=_SUMMARY, version="1", redoc_url=None, redirect_slashes=False)
    app.state.settings = settings
    app.state.store = store
    for routes in (routes_studies, routes_plan, routes_events, routes_report, routes_catalogue, routes_health):
        app.include_router(routes.router)
    answer_with_problems(app)
    app.openapi = lambda: _document(app)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: FastAPI's, with our own words for what it cannot know."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, summary=app.summary, version=app.version, routes=app.routes)
        schemas = document["components"]["schemas"]
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]  # a path that does not fit is a 404 here
        del schemas["HTTPValidationError"], schemas["ValidationError"]
        schemas |= models_json_schema(
            [(StudyDefinition, "validation"), (Problem, "serialization")],
            ref_template="#/components/schemas/{model}",
        )[1]["$defs"]
        app.openapi_schema = document
    return app.openapi_schema


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are answered first."""
    settings = Settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database_url)
    store = Store(engine)
    store.migrate()
    uvicorn.run(
        create_app(settings, store),
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    engine.dispose()


if __name__ == "__main__":
    main()
