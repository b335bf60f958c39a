"""The HTTP service as a client meets it: a real server on a free port, a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.api.event_watcher import EventWatcher
from service.api.middleware.rate_limit import RateLimiter
from service.app import create_app
from service.settings import Access, Settings
from service.storage.engine import open_engine
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.validation.catalogue import Catalogue
from tests.support.services.http_server import serve_app


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """The application; each test gives it a database of its own."""
    settings = Settings(home=Path("unused"), mlflow_uri="http://mlflow.test", rate_limit=0)
    return create_app(settings, Store(open_engine("sqlite://")))


@pytest.fixture(scope="session")
def server_url(app: FastAPI) -> Iterator[str]:
    """Where the application is served."""
    with serve_app(app) as url:
        yield url


@pytest.fixture
def empty_api(app: FastAPI, server_url: str, store: Store) -> Iterator[httpx.Client]:
    """A client of a service with an empty database, that no runner has been near."""
    app.state.store, app.state.event_watcher = store, EventWatcher(store)
    with httpx.Client(base_url=server_url) as client:
        yield client


@pytest.fixture
def api(empty_api: httpx.Client, store: Store, catalogue: Catalogue) -> httpx.Client:
    """A client of a service that can take studies."""
    Runners(store).publish(catalogue)
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)
    return empty_api


@pytest.fixture(scope="session")
def keyed_app() -> FastAPI:
    """The application where keys are needed; each test gives it a database of its own."""
    settings = Settings(home=Path("unused"), access=Access.KEYS, rate_limit=0)
    return create_app(settings, Store(open_engine("sqlite://")))


@pytest.fixture(scope="session")
def keyed_url(keyed_app: FastAPI) -> Iterator[str]:
    """Where that application is served; it does not mind how often it is asked without a key."""
    keyed_app.state.failure_limiter = RateLimiter(0)
    with serve_app(keyed_app) as url:
        yield url


@pytest.fixture
def keyed_api(keyed_app: FastAPI, keyed_url: str, store: Store, catalogue: Catalogue) -> Iterator[httpx.Client]:
    """A client without a key of a service that can take studies of those that have one."""
    keyed_app.state.store, keyed_app.state.event_watcher = store, EventWatcher(store)
    Runners(store).publish(catalogue)
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)
    with httpx.Client(base_url=keyed_url) as client:
        yield client
