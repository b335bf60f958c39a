"""Times on the command line."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from service.cli.display import time_text

NOW = datetime(2026, 1, 2, 23, 30, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_zone() -> Iterator[None]:
    yield
    time.tzset()  # the environment is the former one again


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-01-02 23:30 UTC"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-01-03 00:30 CET"),
        ("<-03>3", "2026-01-02 20:30 -03"),
    ],
)
def test_a_time_names_its_zone(monkeypatch: pytest.MonkeyPatch, zone: str, text: str) -> None:
    with monkeypatch.context() as context:
        context.setenv("TZ", zone)
        time.tzset()
        assert time_text(NOW) == text
