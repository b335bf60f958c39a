"""The HTTP process as it is deployed: starts fast, imports little, stops when told."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil

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
        status = process.wait(timeout=10)

    assert status in (0, -signal.SIGTERM)
    assert "Traceback" not in (tmp_path / "api.log").read_text()
    with started(tmp_path, port) as process:
        wait_until_alive(process, port)
        assert (tmp_path / "studies.db").is_file()


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
