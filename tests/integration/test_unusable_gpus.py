"""Machines with a GPU and a torch that cannot use it: they take no packs, and say why."""

import os
import platform
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from rich.console import Console

from service.app import create_app
from service.cli.serve import child_environment, run_service
from service.client.client import Client
from service.settings import Settings
from service.states import ENDED, State
from service.storage.engine import open_engine
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.registry import build_catalogue
from studies.validation.resolver import resolve
from tests.support.services.fake_gpu import gpu_environment
from tests.support.services.http_process import free_port
from tests.support.services.http_server import serve_app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.version.cuda is not None, reason="needs torch without CUDA"),
]

#: Ray may need several starts on a busy machine.
SECONDS = 400
STUDY: dict[str, Any] = {
    "name": "without a GPU",
    "workloads": [{"name": "digits_mlp", "steps": 20}],
    "arms": [{"name": "l4mom"}],
    "protocol": {"confirm_seeds": 2},
}
REASON = (
    f"Ray offers 1 GPU, but torch {torch.__version__.partition('+')[0]} is built without CUDA: install torch's CUDA "
    "build (in containers, build the images without TORCH_INDEX), or set L4_GPUS_PER_PACK=0 (in containers "
    "GPUS_PER_PACK, on every machine) to train on processors"
)
CONDITION = f"{platform.node()} takes no packs: {REASON}"

#: Runs a node with ports of its own, so that several can be on one machine.
_NODE = """
import sys
from service.runner import node
role, *ports = sys.argv[1:]
node.GCS_PORT, node.NODE_MANAGER_PORT, node.OBJECT_MANAGER_PORT, first = map(int, ports)
node.WORKER_PORTS = range(first, first + 20)
sys.exit(node.main([role]))
"""
#: Starts a command again whenever it ends, as the container engine does.
_RESTART = 'trap "kill \\$!; wait; exit" TERM; while :; do "$@" & wait $!; done'


def until(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


def test_a_service_that_trains_on_its_own_machine(
    settings_of: Callable[[Path], Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in gpu_environment(tmp_path / "libraries").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    settings, shown = settings_of(tmp_path / "home"), StringIO()
    with run_service(settings, Console(file=shown, width=1000)), Client(settings.url) as client:
        assert f"✗ no machine takes packs, so that studies would wait: {REASON}" in shown.getvalue()
        answer = httpx.get(f"{settings.url}/readyz", timeout=60)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:l4-studies:problem:no-machine"
        assert REASON in answer.json()["detail"]
        assert f"this machine takes no packs: {REASON}" in (settings.home / "logs/runner.log").read_text()
        study_id = client.submit(STUDY).id
        until(lambda: CONDITION in client.study(study_id).conditions, lambda: client.study(study_id))
        assert client.study(study_id).state is State.QUEUED, "it would use up its budget of time"
    on_processors = settings.model_copy(update={"gpus_per_pack": 0.0})
    with run_service(on_processors, Console(quiet=True)), Client(settings.url) as client:
        assert client.ready().unusable_machines == ()
        *_, ended = client.watch(study_id)
        assert ended.state is State.SUCCEEDED


@contextmanager
def node(role: str, ports: tuple[int, ...], log: Path, environment: Mapping[str, str]) -> Generator[Path]:
    command = ["bash", "-c", _RESTART, "-", sys.executable, "-c", _NODE, role, *map(str, ports)]
    with log.open("w") as opened:
        process = subprocess.Popen(command, env=dict(environment), stdout=opened, stderr=opened)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(60)


def test_a_node_that_joins_and_one_beside_it(tmp_path: Path) -> None:
    gcs, *free = (free_port() for _ in range(5))
    address = f"127.0.0.1:{gcs}"
    settings = Settings(home=tmp_path / "home", data_dir=tmp_path, cpus=1, node_address="127.0.0.1", lease_seconds=10)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # of the command `ray`
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "PATH": path}
    head = child_environment(settings) | token
    worker = child_environment(settings.model_copy(update={"ray_address": address})) | token
    worker.pop("CUDA_VISIBLE_DEVICES", None)
    settings.home.mkdir()
    store = Store(open_engine(settings.database_url))
    store.migrate()
    with (
        serve_app(create_app(settings, store)) as url,
        Client(url) as client,
        node("head", (gcs, free[0], free[1], 20100), tmp_path / "head.log", head) as head_log,
    ):
        until(lambda: httpx.get(f"{url}/readyz", timeout=60).is_success, head_log.read_text)
        study_id = client.submit(STUDY).id
        until(lambda: client.study(study_id).state is State.RUNNING, head_log.read_text)
        libraries = gpu_environment(tmp_path / "libraries")["LD_LIBRARY_PATH"]
        unusable = worker | {"LD_LIBRARY_PATH": libraries}
        with node("worker", (gcs, free[2], free[3], 20200), tmp_path / "unusable.log", unusable) as log:
            until(lambda: httpx.get(f"{url}/readyz", timeout=60).status_code == 503, log.read_text)
            assert f"this node takes no packs: {REASON}" in log.read_text()
            assert REASON in httpx.get(f"{url}/readyz", timeout=60).json()["detail"]
            study = client.study(study_id)
            assert study.state is State.RUNNING
            assert CONDITION in study.conditions
            assert study.progress.done == 0
            others = (free_port(), free_port())
            with node("worker", (gcs, *others, 20300), tmp_path / "usable.log", worker) as usable_log:
                until(lambda: client.study(study_id).state in ENDED, usable_log.read_text)
                assert client.study(study_id).state is State.SUCCEEDED
                assert client.ready().unusable_machines == (REASON,)


#: Drives a claimed study on a cluster that others have started.
_DRIVE = """
import sys, threading
from service.runner.driver import drive
from service.settings import Settings
home, study, token, ray = sys.argv[1:]
drive(Settings(home=home, data_dir=home, ray_address=ray), study, token, ray, threading.Event())
"""


def test_a_cluster_that_others_started(
    store: Store, tmp_path: Path, environment: dict[str, str], ray_address: str
) -> None:
    Runners(store).publish(build_catalogue())
    study_id = store.add_study(resolve(STUDY, build_catalogue()), datetime.now(UTC))
    claim = store.claim(datetime.now(UTC), 600)
    assert claim is not None
    command = [sys.executable, "-c", _DRIVE, str(tmp_path), study_id, claim.token, ray_address]
    driver = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert driver.returncode == 0, driver.stderr
    study = store.study(study_id)
    assert study.state is State.FAILED
    assert study.reason.endswith(f"{platform.node()} cannot train: {REASON}")
