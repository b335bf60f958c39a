"""The real application on a real port, over the test's database."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from service.app import create_app
from service.settings import Settings
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.validation.catalogue import Catalogue


@pytest.fixture
def url(store: Store, tmp_path: Path) -> Iterator[str]:
    """URL of the running application."""
    app = create_app(Settings(home=tmp_path), store)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def published(store: Store, catalogue: Catalogue) -> None:
    """A runner has published the small catalogue."""
    Runners(store).publish(catalogue)
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)


@pytest.fixture
def closed_url() -> str:
    """URL of a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
