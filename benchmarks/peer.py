"""Running a peer: its process and its MLflow server, both gone when it is done."""

import secrets
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from outcome import Outcome, read

from service.cli.serve import child_environment, service_processes
from service.processes.child_process import ChildProcess, ProcessSpec, stop_all
from service.settings import Settings
from studies.spec.study import StudySpec

START_SECONDS = 120.0
#: What an expert sets before Tune is imported: no result files beside MLflow, no snapshots of experiments that are not
#: resumed, results fetched a second's worth at a time, and a callback that does not wait for MLflow at every value.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_RESULT_BUFFER_LENGTH": "100",
    "TUNE_RESULT_BUFFER_MIN_TIME_S": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
    "MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS": "1",
}


def peer(kind: str, spec: StudySpec, reports: int, settings: Settings) -> Outcome:
    """Run a peer in a process of its own.

    Args:
        kind: `function` or `class`.
        spec: The study.
        reports: Most reports of a run.
        settings: Where its MLflow server listens and keeps its files, and how many processors it gets.
    """
    settings.home.mkdir(parents=True)
    given, outcome = settings.home / "spec.json", settings.home / "outcome.json"
    given.write_text(spec.model_dump_json())
    # as ours: a token of this run alone
    own = ENVIRONMENT | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    script = Path(__file__).with_name("plain_ray_tune.py")
    arguments = [sys.executable, str(script), str(given), str(outcome), "--trials", kind]
    arguments += ["--tracking-uri", settings.tracking_uri, "--reports", str(reports), "--cpus", str(settings.cpus)]
    command = ProcessSpec(
        name=f"peer with {kind} trials",
        arguments=tuple(arguments),
        environment=child_environment(settings) | own,
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
    return read(outcome.read_text())


@contextmanager
def mlflow_server(settings: Settings) -> Generator[None]:
    """Keep the MLflow server that the service has, and nothing else of it.

    Args:
        settings: Where it listens and keeps its files.
    """
    part = service_processes(settings)[0]
    child = ChildProcess(part.spec)
    try:
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(trust_env=False) as client:
            while not _answers(client, part.ready_url):
                child.require_running()
                if time.monotonic() > deadline:
                    raise SystemExit(f"no MLflow server after {START_SECONDS:.0f} s, see {part.spec.log}")
                time.sleep(0.2)
        yield
    finally:
        stop_all([child])


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False
