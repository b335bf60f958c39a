"""A real MLflow server of a test's own, which keeps artifacts as those of `make serve` and compose do."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def serve_mlflow(folder: Path) -> Generator[str]:
    """Serve MLflow, and yield its tracking URI.

    Args:
        folder: Where it keeps its database, and its artifacts, in `artifacts`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    uri = f"http://127.0.0.1:{port}"
    with (
        (folder / "mlflow.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            while not _is_ready(uri):
                assert server.poll() is None, (folder / "mlflow.log").read_text()
                time.sleep(0.1)
            yield uri
        finally:
            server.terminate()
            server.wait(60)


def _is_ready(uri: str) -> bool:
    try:
        return httpx.get(f"{uri}/health", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
