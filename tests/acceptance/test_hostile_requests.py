"""Requests that no client of ours sends, to the HTTP process as it is deployed: no 5xx, and it lives on."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from service.api.limits import MAX_STREAMS
from service.api.openapi import STUDY_JSON
from service.auth.keys import ApiKeys
from service.roles import Role
from service.runner.ledger import StudyLedger
from service.storage.engine import open_engine
from service.storage.repositories.runners import Runners
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
        reader: A reader's key.
        study_id: A study with a report.
        log: What it says.
        process: Its number.
    """

    port: int
    key: str
    reader: str
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
        key, reader = (ApiKeys(store).create(role.value, role, NOW) for role in (Role.ADMIN, Role.READER))
        Runners(store).publish(catalogue)
        study_id = store.add_study(resolve(STUDY_JSON, catalogue), NOW)
        claim = store.claim(NOW, 1e6)
        assert claim is not None
        StudyLedger(store, study_id, claim.token).save_report(MINIMAL_REPORT)
        engine.dispose()
        log = home / "api.log"
        yield Deployed(port=port, key=key, reader=reader, study_id=study_id, log=log, process=process.pid)


@pytest.fixture(autouse=True)
def unharmed(deployed: Deployed) -> Iterator[None]:
    """After every test the process lives, and has logged no error of its own."""
    yield
    assert b"200 OK" in sent(deployed.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert psutil.Process(deployed.process).status() != psutil.STATUS_ZOMBIE
    assert "Traceback" not in deployed.log.read_text()


def sent(port: int, content: bytes, silence: float = 60.0) -> bytes:
    """Send bytes, and return what comes back until the other side closes, or says nothing for so many seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        found = b""
        try:
            connection.sendall(content)
            connection.settimeout(silence)
            while received := connection.recv(65536):
                found += received
        except (TimeoutError, ConnectionError):
            pass  # it stopped reading, or it waits for more: both are fine
        return found


def asked(deployed: Deployed, method: str, path: str, *headers: str, body: bytes = b"", silence: float = 60.0) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {deployed.key}"]
    return sent(deployed.port, "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body, silence)


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
    answer = sent(deployed.port, request, silence=1.0)  # of some the other side waits for more
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
        answer = asked(deployed, "POST", "/studies", *json, f"Content-Length: {length}", body=b"{}", silence=1.0)
        assert answer == b"" or 400 <= status(answer) < 500
    answer = asked(deployed, "POST", "/studies", *json, "Content-Length: 1", body=b"{}" * 1000)
    assert 400 <= status(answer) < 500


def test_slow_clients_keep_nobody_else_waiting(deployed: Deployed) -> None:
    head = f"POST /studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {deployed.key}\r\n".encode()
    body = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    slow: list[socket.socket] = []
    try:
        for beginning in (b"", b"GET", head[:30], head, head + body, head + body + b'"name"') * 20:
            slow.append(socket.create_connection(("127.0.0.1", deployed.port), timeout=60))
            slow[-1].sendall(beginning)
        with httpx.Client(base_url=f"http://127.0.0.1:{deployed.port}", trust_env=False, timeout=60) as client:
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
            with socket.create_connection(("127.0.0.1", deployed.port), timeout=60) as connection:
                connection.sendall(request)
                if b"events" in request:
                    assert connection.recv(100).startswith(b"HTTP/1.1 200")


JSON, YAML = "application/json", "application/yaml"
_ITEMS = 125_000
#: Bodies within the limit of their length, with a fault in every value.
MANY_FAULTS = {
    "arms": (JSON, b'{"name": "x", "arms": [' + b"1," * _ITEMS + b"1]}"),
    "arms in YAML": (YAML, b"arms: [" + b"1," * _ITEMS + b"1]"),
    "not finite": (JSON, b'{"arms": [' + b"NaN," * (_ITEMS // 2) + b"1]}"),
    "unknown fields": (JSON, b"{" + b",".join(b'"%d":1' % i for i in range(20_000)) + b"}"),
    "unknown fields of arms": (
        JSON,
        b'{"arms": [' + b",".join([b"{" + b",".join(b'"%d":1' % i for i in range(190)) + b"}"] * 50) + b"]}",
    ),
    "a long key": (JSON, b'{"' + b"k" * 100_000 + b'": [' + b"NaN," * 9000 + b"1]}"),
    "a long key given twice": (JSON, b'{"%s": 1, "%s": 2}' % (b"k" * 100_000, b"k" * 100_000)),
}


@pytest.mark.parametrize("case", MANY_FAULTS)
def test_many_faults_are_answered_briefly(deployed: Deployed, case: str) -> None:
    """Six at once, with a reader's key: neither long answers nor much memory."""
    content_type, content = MANY_FAULTS[case]
    assert len(content) < 262_144
    before = psutil.Process(deployed.process).memory_info().rss

    def ask(_: int) -> httpx.Response:
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {deployed.reader}"}
        url = f"http://127.0.0.1:{deployed.port}/studies/plan"
        return httpx.post(url, content=content, headers=headers, timeout=120, trust_env=False)

    with ThreadPoolExecutor(6) as pool:
        for answer in pool.map(ask, range(6)):
            assert answer.status_code in (400, 422)
            assert len(answer.content) < 50_000
            problem = answer.json()
            assert len(problem["faults"]) <= 100
            assert re.search(r"more|twice|a key that no study can have", problem["detail"])
    assert psutil.Process(deployed.process).memory_info().rss - before < 100 * 2**20


def test_one_key_opens_only_so_many_streams(deployed: Deployed) -> None:
    base = f"http://127.0.0.1:{deployed.port}"
    limits, header = httpx.Limits(max_connections=None), {"Authorization": f"Bearer {deployed.reader}"}
    log, events = f"/studies/{deployed.study_id}/logs", f"/studies/{deployed.study_id}/events"
    with httpx.Client(base_url=base, headers=header, trust_env=False, timeout=60, limits=limits) as client:
        with ExitStack() as opened:
            for path in (f"{log}?follow=true", events) * (MAX_STREAMS // 2):
                assert opened.enter_context(client.stream("GET", path)).status_code == 200
            for path in (f"{log}?follow=true", events):
                refused = client.get(path)
                assert refused.status_code == 429
                assert "streams" in refused.json()["detail"]
                assert int(refused.headers["retry-after"]) > 0
            assert client.get(log).status_code == 200  # what ends by itself
            with client.stream("GET", events, headers={"Authorization": f"Bearer {deployed.key}"}) as another:
                assert another.status_code == 200
        until(lambda: opens(client, events))


def opens(client: httpx.Client, path: str) -> bool:
    with client.stream("GET", path) as answer:
        return answer.status_code == 200


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds: a server learns a little later that its client has left."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


#: What connections of clients without a key send, and then nothing more.
SILENT = {
    "nothing": b"",
    "half a head": b"GET /studies HTTP/1.1\r\nHost: x\r\nX-A: ",
    "no body": b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nkey=",
    "a refused request's body": (
        b"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    ),
}


@pytest.mark.parametrize("case", SILENT)
def test_connections_that_stay_silent_block_nobody(tmp_path: Path, case: str) -> None:
    """More of them than the process may open files: somebody with a request is answered all the same."""
    port, files, silent = free_port(), 1024, 1100
    with started(tmp_path, port, open_files=files, L4_RATE_LIMIT="0") as process, ExitStack() as opened:
        wait_until_alive(process, port)
        for _ in range(silent):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            connection.sendall(SILENT[case])
        for _ in range(3):
            answer = httpx.get(f"http://127.0.0.1:{port}/studies", timeout=30, trust_env=False)
            assert answer.status_code == 200
