"""The embedded service: keeps the HTTP process, the MLflow server and the runner, from ready to stopped."""

import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from service.cli.display import show_error
from service.errors import PortTakenError, ServiceError, StartError
from service.processes.child_process import ChildProcess, ProcessSpec, stop_all
from service.settings import Settings, read_settings

_START_SECONDS = 180.0
_POLL_SECONDS = 0.2
#: A part may end so often in so many seconds, and is started again.
_DEATHS, _DEATHS_SECONDS = 5, 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServiceProcess:
    """A part of the service: a process, and where it says that it is ready.

    Args:
        command: The process.
        ready_url: Answers 200 once the part is ready.
    """

    command: ProcessSpec
    ready_url: str


class Service:
    """A running service.

    Args:
        children: Its processes.
    """

    def __init__(self, children: list[ChildProcess]) -> None:
        """Keep the processes."""
        self._children = children

    def check(self) -> None:
        """Make sure that every process runs.

        Raises:
            ProcessDiedError: One ended; the message has its log's last lines.
        """
        for child in self._children:
            child.require_running()

    def supervise(self) -> None:
        """Start every process again that has ended, until one ends again and again.

        Raises:
            ProcessDiedError: One ended several times in a minute; the message has its log's last lines.
        """
        died: dict[str, list[float]] = {}
        while True:
            for place, child in enumerate(self._children):
                if child.exit_status is None:
                    continue
                name, now = child.spec.name, time.monotonic()
                died[name] = [*(at for at in died.get(name, []) if now - at < _DEATHS_SECONDS), now]
                if len(died[name]) > _DEATHS:
                    child.require_running()
                child.wait()
                log.error("the %s ended with exit status %s, and is started again", name, child.exit_status)
                self._children[place] = ChildProcess(child.spec)
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def run_service(settings: Settings, console: Console) -> Generator[Service]:
    """Start the service, yield it once it is ready, and stop it at the end, whatever happened.

    Args:
        settings: Where it listens and keeps its files.
        console: Where it says what it is doing.

    Raises:
        PortTakenError: A port is in use; nothing was started.
        StartError: A part did not become ready in time.
        ProcessDiedError: A part ended while starting.
    """
    check_port(settings.host, settings.port, "L4_PORT")
    if not settings.mlflow_uri:
        check_port("127.0.0.1", settings.mlflow_port, "L4_MLFLOW_PORT")
    settings.home.mkdir(parents=True, exist_ok=True)
    children: list[ChildProcess] = []
    try:
        with console.status("Starting the service ...") as status:
            waited_for = {part.command.name: part for part in service_processes(settings)}
            for part in waited_for.values():
                children.append(ChildProcess(part.command))
            service = Service(children)
            for name in _wait_until_ready(service, waited_for):
                status.update(f"Starting the service ... ({', '.join(waited_for)})")
                console.print(f"[green]✓[/] {name} is ready")
        yield service
    finally:
        with console.status("Stopping the service ..."):
            stop_all(children[::-1])
        console.print("The service has stopped.")


def service_processes(settings: Settings) -> list[ServiceProcess]:
    """Return the parts of the service, in the order of their start; they stop in the opposite order.

    Args:
        settings: Where they listen and keep their files.
    """
    home, inherited = settings.home.absolute(), child_environment(settings)
    logs = home / "logs"
    api = ProcessSpec(
        name="HTTP service",
        arguments=(sys.executable, "-m", "service.app"),
        environment=inherited,
        log=logs / "api.log",
    )
    mlflow = ProcessSpec(
        name="MLflow server",
        arguments=_mlflow_arguments(settings.mlflow_port, home / "mlflow"),
        environment=inherited | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        log=logs / "mlflow.log",
    )
    runner = ProcessSpec(
        name="runner",
        arguments=(sys.executable, "-m", "service.runner"),
        environment=inherited | _ray_environment(settings),
        log=logs / "runner.log",
        grace_seconds=20.0,
    )
    found = [
        ServiceProcess(command=mlflow, ready_url=f"{settings.tracking_uri}/health"),
        ServiceProcess(command=api, ready_url=f"{settings.url}/healthz"),
        ServiceProcess(command=runner, ready_url=f"{settings.url}/readyz"),
    ]
    return found[1:] if settings.mlflow_uri else found


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child process reads these very settings.

    Args:
        settings: What it should read; paths become absolute.
    """
    prefix = "L4_"
    outside = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
    given = {name: value.absolute() if isinstance(value, Path) else value for name, value in settings}
    inside = {f"{prefix}{name.upper()}": str(value) for name, value in given.items() if value is not None}
    direct = ",".join(filter(None, (os.environ.get("no_proxy", os.environ.get("NO_PROXY")), "127.0.0.1,localhost")))
    return (
        outside
        | inside
        | {"no_proxy": direct, "NO_PROXY": direct}  # the parts reach one another without the machine's proxy
        | {"MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}  # nothing of this service calls home
        | {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}  # else two lines a run in the driver's log
    )


def check_port(host: str, port: int, setting: str) -> None:
    """Make sure that a port is free.

    Args:
        host: The address to listen on.
        port: The port.
        setting: The environment variable that chooses it.

    Raises:
        PortTakenError: It is in use, or the address is not this machine's.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(
                f"cannot listen on {host}:{port} ({error.strerror}). If the service is already running, use it "
                f"(`l4-studies list`); else stop the other program, or choose another port with {setting}"
            ) from error


def _mlflow_arguments(port: int, folder: Path) -> tuple[str, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    return (
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
        *("--uvicorn-opts", "--log-level warning"),
    )


def _ray_environment(settings: Settings) -> dict[str, str]:
    if settings.ray_address:
        return {}  # that cluster's token is the deployment's to give
    # Ray's own default differs between its versions, and writes a token into the user's home
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _wait_until_ready(service: Service, waited_for: dict[str, ServiceProcess]) -> Iterator[str]:
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(timeout=2.0, trust_env=False) as client:
        while waited_for:
            service.check()
            if time.monotonic() > deadline:
                raise StartError(f"not ready after {_START_SECONDS:.0f} s: {_logs(waited_for)}")
            for name, part in list(waited_for.items()):
                if _answers(client, part.ready_url):
                    del waited_for[name]
                    yield name
            time.sleep(_POLL_SECONDS)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False


def _logs(waited_for: dict[str, ServiceProcess]) -> str:
    return ", ".join(f"the {name} (see {part.command.log})" for name, part in waited_for.items())


def main() -> int:
    """Serve until Ctrl-C or SIGTERM.

    Returns:
        The exit status: 0 once stopped, 1 where something failed.
    """
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = read_settings()
        with run_service(settings, console) as service:
            console.print(f"\nStudies   {settings.url}  (API: {settings.url}/docs)", highlight=False)
            console.print(f"MLflow    {settings.tracking_uri}", highlight=False)
            console.print(f"Files     {settings.home.absolute()}", highlight=False)
            if settings.needs_keys:
                console.print("Access    by API key; `l4-studies keys create` makes one", highlight=False)
            console.print("\nSubmit a study with `l4-studies submit FILE`; Ctrl-C stops the service.\n")
            service.supervise()
    except KeyboardInterrupt:
        return 0
    except ServiceError as error:
        show_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
