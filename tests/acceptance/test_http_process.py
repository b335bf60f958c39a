"""The HTTP process as it is deployed: starts fast, imports little, stops when told."""

import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.support.services.http_process import ROOT, free_port, started, started_bare, wait_until_alive

#: What must never be in the process: what trains, searches, records or draws, and what that needs.
HEAVY = {"torch", "ray", "optuna", "mlflow", "numpy", "scipy", "sklearn", "pandas", "matplotlib"}
#: Its own modules, and making a new database, may take as long as the libraries do.
MOST_BARE_STARTS = 2.0


def test_its_start_takes_little_more_than_that_of_a_bare_application(tmp_path: Path) -> None:
    """In processor time, which other programs don't add to; the least of three starts each, in turns."""
    own: list[float] = []
    bare: list[float] = []
    for start in range(3):
        port = free_port()
        with started(tmp_path / str(start), port) as process:
            own.append(processor_seconds(process, port))
        with started_bare(port := free_port()) as process:
            bare.append(processor_seconds(process, port))

    assert min(own) < MOST_BARE_STARTS * min(bare), (own, bare)


def processor_seconds(process: subprocess.Popen[bytes], port: int) -> float:
    """Return the processor time that a process took until it answered."""
    wait_until_alive(process, port)
    used = psutil.Process(process.pid).cpu_times()
    return used.user + used.system


def test_on_any_other_address_it_needs_keys(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port, L4_HOST="0.0.0.0", L4_ACCESS="auto") as process:
        wait_until_alive(process, port)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert [client.get(path).status_code for path in ("/studies", "/docs", "/healthz")] == [401, 401, 200]


def test_it_imports_nothing_that_trains() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import service.app, sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    roots = {name.split(".")[0] for name in listed.stdout.split()}

    assert "service" in roots
    assert not roots & HEAVY


def test_nothing_that_trains_is_imported_later_either(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        wait_until_alive(process, port)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for path in ("/readyz", "/studies", "/openapi.json", "/docs", "/", "/pages/new"):
                client.get(path)
            client.post("/studies", content=b"name: x", headers={"Content-Type": "application/yaml"})
        mapped = Path(f"/proc/{process.pid}/maps").read_text()

    libraries = set(re.findall(r"site-packages/([A-Za-z0-9_]+)", mapped))
    assert "pydantic_core" in libraries
    assert not libraries & HEAVY


def test_it_stops_soon_after_sigterm_and_keeps_its_studies(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        wait_until_alive(process, port)
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=60)

    assert status in (0, -signal.SIGTERM)
    assert "Traceback" not in (tmp_path / "api.log").read_text()
    with started(tmp_path, port) as process:
        wait_until_alive(process, port)
        assert (tmp_path / "studies.db").is_file()


def test_sigterm_with_open_streams_is_no_error(tmp_path: Path, spec: StudySpec) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        wait_until_alive(process, port)
        engine = open_engine(f"sqlite:///{tmp_path / 'studies.db'}")
        study_id = Store(engine).add_study(spec, datetime.now(UTC))
        engine.dispose()
        log = tmp_path / "studies" / study_id / "driver.log"
        log.parent.mkdir(parents=True)
        log.write_text("a line\n")
        streams = [f"/studies/{study_id}/events", f"/studies/{study_id}/logs?follow=true"]
        with ExitStack() as opened:
            client = opened.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False))
            answers = [opened.enter_context(client.stream("GET", path, timeout=30)) for path in streams]
            lines = [answer.iter_lines() for answer in answers]
            assert all(next(each) for each in lines)
            process.send_signal(signal.SIGTERM)
            for each in lines:
                with pytest.raises(httpx.RemoteProtocolError):  # cut off, as they are not complete
                    list(each)
            status = process.wait(timeout=60)

    assert status in (0, -signal.SIGTERM)
    said = (tmp_path / "api.log").read_text()
    assert "Traceback" not in said
    assert '"ERROR"' not in said


def test_without_keys_it_answers_nobody_who_came_through_a_proxy(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        wait_until_alive(process, port)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for header in ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"):
                refused = client.get("/studies", headers={header: "203.0.113.7"})
                assert refused.status_code == 403, header
                assert "L4_ACCESS=keys" in refused.json()["detail"]
            assert client.get("/studies", headers={"Host": "studies.example"}).status_code == 403
            assert client.get("/studies").status_code == 200


def test_memory_stays_small_under_large_bodies(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        wait_until_alive(process, port)
        before = peak_bytes(process.pid)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for _ in range(4):
                answer = client.post(
                    "/studies", content=b" " * (50 * 2**20), headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == 413
        after = peak_bytes(process.pid)

    assert after - before < 20 * 2**20


def peak_bytes(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024
