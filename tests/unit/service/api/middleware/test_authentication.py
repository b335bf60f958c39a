"""How often may be asked, by whom: the real application on a real port."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.api.middleware.authentication import FAILURES_PER_MINUTE
from service.app import create_app
from service.auth.keys import ApiKeys
from service.roles import Role
from service.schemas.problems import Problem
from service.settings import Access, Settings
from service.storage.repositories.studies import Store
from tests.support.services.http_server import serve_app

pytestmark = pytest.mark.heavy

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@contextmanager
def client(store: Store, access: Access, rate_limit: int) -> Generator[httpx.Client]:
    app = create_app(Settings(home=Path("unused"), access=access, rate_limit=rate_limit), store)
    with serve_app(app) as url, httpx.Client(base_url=url) as connected:
        yield connected


def statuses(connected: httpx.Client, count: int, key: str = "", path: str = "/studies") -> list[int]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return [connected.get(path, headers=headers).status_code for _ in range(count)]


def test_each_key_has_its_own_allowance(store: Store) -> None:
    first, second = (ApiKeys(store).create(name, Role.READER, NOW) for name in ("first", "second"))
    with client(store, Access.KEYS, 5) as connected:
        assert statuses(connected, 7, first) == [200] * 5 + [429] * 2
        assert statuses(connected, 6, second, "/nothing") == [404] * 5 + [429]
        refused = connected.get("/studies", headers={"Authorization": f"Bearer {first}"})
    problem = Problem.model_validate_json(refused.content)
    assert (problem.status, problem.title) == (429, "Too many requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 12
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_where_no_key_is_needed_each_address_has_one(store: Store) -> None:
    with client(store, Access.AUTO, 5) as connected:
        assert statuses(connected, 3) + statuses(connected, 3, path="/healthz") == [200] * 5 + [429]


def test_zero_is_no_limit(store: Store) -> None:
    with client(store, Access.AUTO, 0) as connected:
        assert statuses(connected, 50, path="/healthz") == [200] * 50


def test_wrong_keys_are_few_and_do_not_shut_out_a_right_one(store: Store) -> None:
    right = ApiKeys(store).create("holder", Role.READER, NOW)
    with client(store, Access.KEYS, 6000) as connected:
        found = statuses(connected, FAILURES_PER_MINUTE // 2) + statuses(
            connected, FAILURES_PER_MINUTE // 2 + 5, f"l4_{'0' * 12}_{'0' * 64}"
        )
        assert set(found[:FAILURES_PER_MINUTE]) == {401}
        assert found[-1] == 429
        assert "without a valid key" in connected.get("/studies").json()["detail"]
        assert statuses(connected, 10, right) == [200] * 10


def test_a_body_that_does_not_arrive_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.body._TIMEOUT_SECONDS", 0.2)

    async def post(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /studies HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        writer.write(head.encode() + b"Content-Length: 100\r\n\r\n{")
        answer = await asyncio.wait_for(reader.read(), 20)  # until it is closed
        writer.close()
        return answer

    with client(store, Access.AUTO, 0) as connected:
        answer = asyncio.run(post(connected.base_url.port or 0))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    assert b"took longer than 0.2 s" in answer
