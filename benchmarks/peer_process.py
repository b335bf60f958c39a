"""Runs plain Ray Tune as a peer, in a process with an MLflow server of its own."""

import secrets
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from outcome import Outcome, from_json

from service.cli.serve import child_environment, service_processes
from service.processes.child_process import ChildProcess, ProcessSpec, stop_all
from service.settings import Settings
from studies.spec.study import StudySpec

START_SECONDS = 120.0
#: Settings of an experienced user: no result files besides MLflow, no snapshots of experiments that are never resumed,
#: results fetched once a second, and a callback that does not wait for MLflow at every value.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_RESULT_BUFFER_LENGTH": "100",
    "TUNE_RESULT_BUFFER_MIN_TIME_S": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
    "MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS": "1",
}


def run_peer(kind: str, spec: StudySpec, reports: int, settings: Settings) -> Outcome:
    """Run a peer in its own process.

    Args:
        kind: `function` or `class`.
        spec: The study.
        reports: Largest number of reports of a run.
        settings: Ports and home of its MLflow server, and its number of processors.
    """
    settings.home.mkdir(parents=True)
    spec_file, outcome_file = settings.home / "spec.json", settings.home / "outcome.json"
    spec_file.write_text(spec.model_dump_json())
    # a token for this run only, as our service has
    environment = ENVIRONMENT | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    script = Path(__file__).with_name("plain_ray_tune.py")
    arguments = [sys.executable, str(script), str(spec_file), str(outcome_file), "--trials", kind]
    arguments += ["--tracking-uri", settings.tracking_uri, "--reports", str(reports), "--cpus", str(settings.cpus)]
    command = ProcessSpec(
        name=f"peer with {kind} trials",
        arguments=tuple(arguments),
        environment=child_environment(settings) | environment,
        log=settings.home / "logs" / "peer.log",
    )
    with mlflow_server(settings):
        child = ChildProcess(command)
        try:
            while child.exit_status != 0:
                child.require_running()
                time.sleep(0.2)
        finally:
            stop_all([child])
    return from_json(outcome_file.read_text())


@contextmanager
def mlflow_server(settings: Settings) -> Generator[None]:
    """Run the service's MLflow server without the rest of the service.

    Args:
        settings: Its port and home.
    """
    process = service_processes(settings)[0]
    child = ChildProcess(process.spec)
    try:
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(trust_env=False) as client:
            while not _answers(client, process.ready_url):
                child.require_running()
                if time.monotonic() > deadline:
                    raise SystemExit(f"no MLflow server after {START_SECONDS:.0f} s, see {process.spec.log}")
                time.sleep(0.2)
        yield
    finally:
        stop_all([child])


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False
