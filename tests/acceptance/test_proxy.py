"""The proxy in front of the HTTP process and MLflow: nobody without the right key fills its memory or blocks it."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from fastapi import FastAPI, Request

from service.auth.keys import ApiKeys
from service.roles import Role
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from tests.support.services.http_process import free_port, started, wait_until_alive
from tests.support.services.http_server import serve_app
from tests.support.services.processes import matching
from tests.support.services.proxy import proxied

_SECONDS = 30
#: More than the proxy may read without an answer: what its sockets hold.
_MOST_SENT = 20_000_000


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A running proxy.

    Args:
        url: Where it listens.
        folder: Of its files.
        keys: A key of each role.
    """

    url: str
    folder: Path
    keys: dict[Role, str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kept(self) -> list[str]:
        """Return the files with bodies that the proxy has open; they have no name any more."""
        files: list[str] = []
        for process in matching(psutil.Process(), str(self.folder)):
            for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    files.append(str(descriptor.readlink()))
        assert files, "the proxy is not found"
        return [file for file in files if file.startswith(str(self.folder / "body"))]


@pytest.fixture(scope="module")
def mlflow() -> Iterator[int]:
    """The port of a server that says how long a body was, in the place of MLflow."""
    app = FastAPI()

    async def receive(request: Request) -> dict[str, int]:
        return {"bytes": sum([len(chunk) async for chunk in request.stream()])}

    app.add_api_route("/{path:path}", receive, methods=["GET", "POST", "PUT"])
    with serve_app(app) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, mlflow: int) -> Iterator[Deployed]:
    home, folder, port = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("nginx"), free_port()
    with started(home, port, L4_ACCESS="keys", L4_RATE_LIMIT="0") as process:
        wait_until_alive(process, port)
        engine = open_engine(f"sqlite:///{home / 'studies.db'}")
        keys = {role: ApiKeys(Store(engine)).create(role.value, role, datetime.now(UTC)) for role in Role}
        engine.dispose()
        with proxied(port, folder, mlflow_port=mlflow) as url:
            yield Deployed(url=url, folder=folder, keys=keys)


def _send_without_end(deployed: Deployed, method: str, path: str, key: str | None) -> tuple[int, str]:
    """Send a body of 10 GB until there is an answer; return its status and text."""
    access = "" if key is None else f"Authorization: Bearer {key}\r\n"
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{access}Content-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", deployed.port), timeout=_SECONDS) as connection:
        connection.sendall(f"{head}Content-Length: {10**10}\r\n\r\n".encode())
        connection.settimeout(0.02)
        sent, answer = 0, b""
        deadline = time.monotonic() + _SECONDS
        while not answer.partition(b"\r\n\r\n")[2]:
            assert sent < _MOST_SENT, "the proxy takes the body first"
            assert time.monotonic() < deadline
            try:
                answer += connection.recv(65_536)
            except TimeoutError:
                sent += connection.send(bytes(100_000))
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [
        ("POST", "/mlflow/x", None, 413),
        ("POST", "/studies", None, 413),
        ("PUT", "/mlflow/api/2.0/mlflow-artifacts/artifacts/1/x", None, 401),
        ("PUT", "/mlflow/api/2.0/mlflow-artifacts/artifacts/1/x", Role.SUBMITTER, 403),
        ("POST", "/mlflow/graphql", Role.READER, 413),
        ("POST", "/mlflow/api/2.0/mlflow/runs/search", Role.ADMIN, 413),
    ],
)
def test_a_body_without_end_is_answered_at_once_and_kept_nowhere(
    deployed: Deployed, method: str, path: str, role: Role | None, status: int
) -> None:
    answered, body = _send_without_end(deployed, method, path, None if role is None else deployed.keys[role])
    assert answered == status, body
    assert f'"status":{status}' in body.replace(" ", "")
    assert deployed.kept() == []


def test_bodies_that_have_not_come_are_kept_nowhere(deployed: Deployed) -> None:
    with ExitStack() as opened:
        for _ in range(20):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", deployed.port), timeout=_SECONDS))
            connection.sendall(b"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(500_000))
        httpx.get(f"{deployed.url}/healthz", timeout=_SECONDS).raise_for_status()
        assert deployed.kept() == []


def test_an_artifact_of_any_size_goes_through(deployed: Deployed) -> None:
    content = bytes(5_000_000)
    header = {"Authorization": f"Bearer {deployed.keys[Role.ADMIN]}"}
    for path in ("api/2.0/mlflow-artifacts/artifacts/1/x", "ajax-api/2.0/mlflow-artifacts/artifacts/1/x"):
        answer = httpx.put(f"{deployed.url}/mlflow/{path}", content=content, headers=header, timeout=_SECONDS)
        assert (answer.status_code, answer.json()) == (200, {"bytes": len(content)})


def test_a_large_body_that_the_service_refuses_is_answered_each_time(deployed: Deployed) -> None:
    header = {"Authorization": f"Bearer {deployed.keys[Role.ADMIN]}", "Content-Type": "application/json"}
    for given, status in (header, 413), ({"Authorization": "Bearer unknown"}, 401):
        for _ in range(20):
            answer = httpx.post(f"{deployed.url}/studies", content=bytes(900_000), headers=given, timeout=_SECONDS)
            assert answer.status_code == status, answer.text


def test_who_may_not_is_told_the_role_that_may(deployed: Deployed) -> None:
    header = {"Authorization": f"Bearer {deployed.keys[Role.READER]}"}
    call = f"{deployed.url}/mlflow/api/2.0/mlflow/runs/delete"
    answer = httpx.post(call, json={"run_id": "1"}, headers=header, timeout=_SECONDS)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "'POST /mlflow/api/2.0/mlflow/runs/delete'" in answer.json()["detail"]
    assert "takes an admin's key" in answer.json()["detail"]


def test_what_was_not_passed_on_is_never_a_success(tmp_path: Path, mlflow: int) -> None:
    home, port = tmp_path / "home", free_port()
    (tmp_path / "nginx").mkdir()
    with (
        started(home, port, L4_ACCESS="keys", L4_RATE_LIMIT="2") as process,
        proxied(port, tmp_path / "nginx", mlflow_port=mlflow) as url,
    ):
        wait_until_alive(process, port)
        engine = open_engine(f"sqlite:///{home / 'studies.db'}")
        header = {"Authorization": f"Bearer {ApiKeys(Store(engine)).create('a', Role.ADMIN, datetime.now(UTC))}"}
        engine.dispose()
        call = f"{url}/mlflow/api/2.0/mlflow/runs/delete"
        answers = [httpx.post(call, json={}, headers=header, timeout=_SECONDS) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert answers[0].json() == {"bytes": len(json.dumps({}))}
        assert answers[-1].headers["content-type"] == "application/problem+json"
        assert answers[-1].json()["status"] == 429
        assert int(answers[-1].headers["retry-after"]) > 0
        process.kill()
        process.wait()
        answer = httpx.post(call, json={}, headers=header, timeout=_SECONDS)
        assert (answer.status_code, answer.json()["status"]) == (502, 502)


@pytest.mark.parametrize("sent", [b"", b"GET /studies HTTP/1.1\r\nHost: x\r\nX-A: "])
def test_connections_that_stay_silent_block_nobody(deployed: Deployed, sent: bytes) -> None:
    """More of them than the proxy may open files at its start."""
    with ExitStack() as opened:
        for _ in range(1100):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", deployed.port), timeout=_SECONDS))
            connection.sendall(sent)
        for _ in range(3):
            httpx.get(f"{deployed.url}/healthz", timeout=_SECONDS).raise_for_status()
