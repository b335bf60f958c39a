"""The embedded service: the processes' environments, port checks, and failed starts."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from service.cli.serve import check_port, child_environment, run_service, service_processes
from service.errors import PortTakenError, ProcessDiedError
from service.processes.child_process import START_AGAIN
from service.settings import Settings

pytestmark = pytest.mark.heavy


@pytest.fixture
def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_child_reads_the_very_settings_of_its_parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("L4_CPUS", "7")  # unlike the parent's settings, which were passed explicitly
    settings = Settings(home=tmp_path, port=8123, cpus=None, lease_seconds=2.5, mlflow_uri="http://elsewhere:1")
    read = subprocess.run(
        [sys.executable, "-c", "from service.settings import Settings; print(Settings().model_dump_json())"],
        env=child_environment(settings),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = settings.model_copy(update={"data_dir": settings.data_dir.absolute()})
    assert json.loads(read.stdout) == expected.model_dump(mode="json")


def test_the_parts_reach_one_another_without_the_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intern.example")
    found = child_environment(Settings(home=tmp_path))
    assert found["no_proxy"] == found["NO_PROXY"] == "intern.example,127.0.0.1,localhost"


def test_nothing_calls_home(tmp_path: Path) -> None:
    found = child_environment(Settings(home=tmp_path))
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert found["RAY_USAGE_STATS_ENABLED"] == "0"


def test_the_runner_gets_a_fresh_token_for_its_own_ray(tmp_path: Path) -> None:
    tokens = set[str]()
    for _ in range(2):
        runner = service_processes(Settings(home=tmp_path))[-1].spec
        assert runner.environment["RAY_AUTH_MODE"] == "token"
        tokens.add(runner.environment["RAY_AUTH_TOKEN"])
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 32


def test_a_cluster_elsewhere_has_its_own_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the deployment's")
    runner = service_processes(Settings(home=tmp_path, ray_address="ray://elsewhere:10001"))[-1].spec
    assert runner.environment["RAY_AUTH_TOKEN"] == "the deployment's"


def test_an_mlflow_server_elsewhere_means_none_here(tmp_path: Path) -> None:
    names = [part.spec.name for part in service_processes(Settings(home=tmp_path, mlflow_uri="http://elsewhere:1"))]
    assert names == ["HTTP service", "runner"]
    assert len(service_processes(Settings(home=tmp_path))) == 3


def test_a_taken_port_is_named_with_its_remedy(taken_port: int) -> None:
    with pytest.raises(PortTakenError, match=rf"cannot listen on 127\.0\.0\.1:{taken_port} .*with L4_PORT"):
        check_port("127.0.0.1", taken_port, "L4_PORT")


def test_nothing_is_started_where_a_port_is_taken(tmp_path: Path, taken_port: int, free_ports: tuple[int, int]) -> None:
    settings = Settings(home=tmp_path / "home", port=free_ports[0], mlflow_port=taken_port)
    with pytest.raises(PortTakenError, match="L4_MLFLOW_PORT"), run_service(settings, Console(file=StringIO())):
        pass
    assert not settings.home.exists()


def test_a_part_that_does_not_come_up_is_reported_in_its_own_words(
    tmp_path: Path, free_ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # a broken file there shadows a module that every process imports
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'service.app' in sys.orig_argv and 'service.processes.subreaper' not in sys.orig_argv:\n"
        "    print('the disk is full'); os._exit(4)\n"
    )
    settings = Settings(home=tmp_path / "home", port=free_ports[0], mlflow_port=free_ports[1])
    with (
        pytest.raises(ProcessDiedError, match=r"HTTP service ended with exit status 4(.|\n)*the disk is full"),
        run_service(settings, Console(file=StringIO())),
    ):
        pass


def test_a_runner_whose_ray_does_not_come_up_is_started_again(
    tmp_path: Path, free_ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # as above; every process but the runner waits
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib, sys, time\n"
        "if 'service.processes.subreaper' not in sys.orig_argv:\n"
        "    if 'service.runner' not in sys.orig_argv: time.sleep(600)\n"
        "    starts = pathlib.Path(__file__).with_name('starts')\n"
        "    starts.open('a').write('x')\n"
        f"    os._exit({START_AGAIN} if starts.stat().st_size < 3 else 4)\n"
    )
    settings = Settings(home=tmp_path / "home", port=free_ports[0], mlflow_port=free_ports[1])
    with (
        pytest.raises(ProcessDiedError, match="runner ended with exit status 4"),
        run_service(settings, Console(file=StringIO())),
    ):
        pass
    assert (tmp_path / "starts").read_text() == "xxx"


@pytest.mark.slow
def test_a_runner_says_that_ray_did_not_come_up_and_asks_for_another_start(tmp_path: Path) -> None:
    environment = child_environment(Settings(home=tmp_path)) | {"RAY_TMPDIR": "/dev/null/nowhere"}
    runner = subprocess.run([sys.executable, "-m", "service.runner"], env=environment, capture_output=True, text=True)
    assert runner.returncode == START_AGAIN
    assert "Ray did not start: " in runner.stderr
