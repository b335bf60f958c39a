"""The HTTP service as a client meets it: a real server on a free port, a real database."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.database import open_engine
from service.news import News
from service.runners import Runners
from service.settings import Settings
from service.store import Store
from studies.catalogue import Catalogue


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """The application; each test gives it a database of its own."""
    settings = Settings(home=Path("unused"), mlflow_uri="http://mlflow.test")
    return create_app(settings, Store(open_engine("sqlite://")))


@pytest.fixture(scope="session")
def server_url(app: FastAPI) -> Iterator[str]:
    """Where the application is served."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def empty_api(app: FastAPI, server_url: str, store: Store) -> Iterator[httpx.Client]:
    """A client of a service with an empty database, that no runner has been near."""
    app.state.store, app.state.news = store, News(store)
    with httpx.Client(base_url=server_url) as client:
        yield client


@pytest.fixture
def api(empty_api: httpx.Client, store: Store, catalogue: Catalogue) -> httpx.Client:
    """A client of a service that can take studies."""
    Runners(store).publish(catalogue)
    Runners(store).renew("runner", datetime.now(UTC), seconds=3600)
    return empty_api
