"""The proxy as it is deployed, docker/nginx.conf, in front of an HTTP process on this machine."""

import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.services.http_process import free_port, killed_at_the_end


@contextmanager
def proxied(port: int, folder: Path, *, mlflow_port: int | None = None) -> Generator[str]:
    """Run the proxy, and yield its address.

    Args:
        port: Where the HTTP process listens.
        folder: An empty one, for the proxy's files; bodies that it keeps are in `body` there.
        mlflow_port: Where an MLflow server listens; nothing is behind `/mlflow/` if None.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
    own = free_port()
    text = (ROOT / "docker" / "nginx.conf").read_text()
    for deployed, here in (
        ("http://api:8440", f"http://127.0.0.1:{port}"),
        ("http://mlflow:5000", f"http://127.0.0.1:{free_port() if mlflow_port is None else mlflow_port}"),
        ("include mime.types", "include /etc/nginx/mime.types"),
        ("/tmp/", f"{folder}/"),
        ("/dev/stdout", f"{folder}/access.log"),
    ):
        assert deployed in text
        text = text.replace(deployed, here)
    (folder / "resolver.conf").touch()  # all addresses are numbers here
    (folder / "listen.conf").write_text(f"listen 127.0.0.1:{own};\n")
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    command = [nginx, "-c", str(configuration), "-e", "stderr", "-g", "daemon off; master_process off;"]
    command = ["bash", "-c", 'ulimit -Sn 1024; exec "$@"', "bash", *command]  # as a machine's own limit may be
    with (folder / "error.log").open("wb") as log, killed_at_the_end(subprocess.Popen(command, stderr=log)):
        _wait_until_open(own)
        yield f"http://127.0.0.1:{own}"


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return
