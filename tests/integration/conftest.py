"""A whole service, as `make serve` runs it, on free ports and in a folder of its own."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from service.client import Client
from service.serve import running
from service.settings import Settings


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_settings(home: Path) -> Settings:
    """Return settings of a service of its own; one processor, so that packs are trained in their order."""
    return Settings(
        home=home,
        data_dir=home / "data",
        port=free_port(),
        mlflow_port=free_port(),
        cpus=1,
        lease_seconds=5.0,
        webhooks_private=True,
    )


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a service that runs for all tests of the session."""
    chosen = own_settings(tmp_path_factory.mktemp("home"))
    with running(chosen, Console(quiet=True)):
        yield chosen


@pytest.fixture
def settings_of() -> Callable[[Path], Settings]:
    """What makes the settings of another service, from its home."""
    return own_settings


@pytest.fixture
def comparable() -> Callable[[bytes], bytes]:
    """What blanks a report's ids, times and durations, and nothing else."""
    return blanked


def blanked(report: bytes) -> bytes:
    """Return a report without its ids, times and durations, those that were estimated among them."""
    found = json.loads(report)
    provenance = found["provenance"]
    del provenance["estimate"], provenance["elapsed_seconds"]
    text = json.dumps(found, indent=2, ensure_ascii=False)
    for key in ("study_id", "started_at", "ended_at"):
        text = text.replace(provenance[key], "-")
    return re.sub(r'"seconds":\s*[0-9.e+-]+', '"seconds":-', text).encode()


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A client of the running service."""
    with Client(settings.url) as connected:
        yield connected
