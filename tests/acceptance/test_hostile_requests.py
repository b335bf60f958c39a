"""Requests that no client of ours sends, to the HTTP process as it is deployed: no 5xx, and it lives on."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from service.api.openapi import STUDY_JSON
from service.auth.keys import ApiKeys
from service.roles import Role
from service.runner.ledger import StudyLedger
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.validation.catalogue import Catalogue
from studies.validation.resolver import resolve
from tests.support.minimal_report import MINIMAL_REPORT
from tests.support.services.http_process import free_port, started, wait_until_alive

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A running HTTP process.

    Args:
        port: Where it listens.
        key: An admin's.
        study_id: A study with a report.
        log: What it says.
        process: Its number.
    """

    port: int
    key: str
    study_id: str
    log: Path
    process: int


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Iterator[Deployed]:
    """The process, with keys needed."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    with started(home, port, L4_ACCESS="keys", L4_RATE_LIMIT="0") as process:
        wait_until_alive(process, port)
        engine = open_engine(f"sqlite:///{home / 'studies.db'}")
        store = Store(engine)
        key = ApiKeys(store).create("admin", Role.ADMIN, NOW)
        study_id = store.add_study(resolve(STUDY_JSON, catalogue), NOW)
        claim = store.claim(NOW, 1e6)
        assert claim is not None
        StudyLedger(store, study_id, claim.token).save_report(MINIMAL_REPORT)
        engine.dispose()
        log = home / "api.log"
        yield Deployed(port=port, key=key, study_id=study_id, log=log, process=process.pid)


@pytest.fixture(autouse=True)
def unharmed(deployed: Deployed) -> Iterator[None]:
    """After every test the process lives, and has logged no error of its own."""
    yield
    assert b"200 OK" in sent(deployed.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert psutil.Process(deployed.process).status() != psutil.STATUS_ZOMBIE
    assert "Traceback" not in deployed.log.read_text()


def sent(port: int, content: bytes) -> bytes:
    """Send bytes, and return what comes back until the other side closes, or says nothing for a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        found = b""
        try:
            connection.sendall(content)
            connection.settimeout(1)
            while received := connection.recv(65536):
                found += received
        except (TimeoutError, ConnectionError):
            pass  # it stopped reading, or it waits for more: both are fine
        return found


def asked(deployed: Deployed, method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {deployed.key}"]
    return sent(deployed.port, "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body)


def status(answer: bytes) -> int:
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert match is not None, answer[:200]
    return int(match[1])


TRAVERSALS = (
    "/studies/..%2f..",
    "/studies/../../etc/passwd",
    "/studies/%2e%2e/%2e%2e/etc/passwd",
    "/studies/{id}/report/..%2f..%2f..%2fetc%2fpasswd.svg",
    "/studies/{id}/report/../../../studies.db",
    "/studies/{id}/report/%2e%2e%2fstudies.db.svg",
    "/studies/{id}/report/....//....//x.svg",
    "/studies/{id}/report/..%5c..%5cx.svg",
    "/studies/{id}/report/%252e%252e%252fx.svg",
    "/studies/{id}/report/%00.svg",
    "/studies/{id}/report/%ff%fe.svg",
    "/studies/{id}/report.%2e%2e",
    "/studies/{id}%00",
    "/studies/{id}%0d%0aX-Injected: 1",
    "//studies/../healthz",
    "/./healthz/../studies.db",
    "http://elsewhere/studies/..%2f",
)


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out_of_the_database(deployed: Deployed, path: str) -> None:
    answer = asked(deployed, "GET", path.format(id=deployed.study_id).replace(" ", "%20"))
    assert status(answer) == 404, answer
    assert b"root:" not in answer
    assert b"SQLite format" not in answer
    assert b"\r\nX-Injected" not in answer


def test_no_path_is_open_but_by_its_very_name(deployed: Deployed) -> None:
    for path in ("/healthz/../studies", "/healthz/%2e%2e/studies", "//healthz", "/healthz/", "/HEALTHZ", "/healthz%00"):
        answer = sent(deployed.port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert status(answer) == 401, path


BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "nothing": b"\r\n\r\n",
    "no version": b"GET /studies\r\n\r\n",
    "no Host": b"GET /studies HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /studies HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": b"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a negative length": b"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a length and chunks": (
        b"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a chunk without a length": b"POST /studies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a header over two lines": b"GET /studies HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n",
    "NUL in a header": b"GET /studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \x00\r\n\r\n",
    "bytes in a header": b"GET /studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "bytes in a path": b"GET /studies/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "half an address as a Host": b"GET /studies HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a long header": b"GET /studies HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "many headers": b"GET /studies HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 20_000 + b"\r\n",
    "a long path": b"GET /studies/" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": b"BREW /studies HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a web socket": (
        b"GET /studies HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ),
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("with_key", [False, True])
def test_broken_requests_do_no_harm(deployed: Deployed, case: str, with_key: bool) -> None:
    key = f"\r\nAuthorization: Bearer {deployed.key}\r\nHost: ".encode()
    request = BROKEN[case].replace(b"\r\nHost: ", key, 1) if with_key else BROKEN[case]
    answer = sent(deployed.port, request)
    for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer):
        assert (100 if with_key else 400) <= int(found) < 500, answer[:300]


def test_large_bodies_are_refused_with_and_without_a_key(deployed: Deployed) -> None:
    before = psutil.Process(deployed.process).memory_info().rss
    with httpx.Client(base_url=f"http://127.0.0.1:{deployed.port}", trust_env=False) as client:
        headers = {"Content-Type": "application/json"}
        body = b" " * (20 * 2**20)
        for given, expected in ({}, 401), ({"Authorization": f"Bearer {deployed.key}"}, 413):
            for content in (body, iter([body])):
                try:
                    answer = client.post("/studies", content=content, headers=headers | given)
                except httpx.WriteError:
                    continue  # it was refused before all of it was sent
                assert answer.status_code == expected
    assert psutil.Process(deployed.process).memory_info().rss - before < 30 * 2**20


def test_a_length_that_is_a_lie_is_no_study(deployed: Deployed) -> None:
    json = ("Content-Type: application/json",)
    for length in ("1000", "9" * 30):
        answer = asked(deployed, "POST", "/studies", *json, f"Content-Length: {length}", body=b"{}")
        assert answer == b"" or 400 <= status(answer) < 500
    answer = asked(deployed, "POST", "/studies", *json, "Content-Length: 1", body=b"{}" * 1000)
    assert 400 <= status(answer) < 500


def test_slow_clients_keep_nobody_else_waiting(deployed: Deployed) -> None:
    head = f"POST /studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {deployed.key}\r\n".encode()
    body = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    slow: list[socket.socket] = []
    try:
        for beginning in (b"", b"GET", head[:30], head, head + body, head + body + b'"name"') * 20:
            slow.append(socket.create_connection(("127.0.0.1", deployed.port), timeout=10))
            slow[-1].sendall(beginning)
        with httpx.Client(base_url=f"http://127.0.0.1:{deployed.port}", trust_env=False, timeout=10) as client:
            for _ in range(5):
                for connection in slow[1::6]:
                    connection.sendall(b" ")  # byte by byte
                headers = {"Authorization": f"Bearer {deployed.key}"}
                assert client.get("/studies", headers=headers).status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_who_leaves_in_the_middle_is_not_missed(deployed: Deployed) -> None:
    head = f"Host: x\r\nAuthorization: Bearer {deployed.key}\r\nContent-Type: application/json\r\n".encode()
    for _ in range(20):
        for request in (
            b"POST /studies HTTP/1.1\r\n" + head + b"Content-Length: 1000\r\n\r\n{",
            f"GET /studies/{deployed.study_id}/events HTTP/1.1\r\n".encode() + head + b"\r\n",
            b"GET /openapi.json HTTP/1.1\r\n" + head + b"\r\n",
        ):
            with socket.create_connection(("127.0.0.1", deployed.port), timeout=10) as connection:
                connection.sendall(request)
                if b"events" in request:
                    assert connection.recv(100).startswith(b"HTTP/1.1 200")
