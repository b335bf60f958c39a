"""The embedded service: starts, supervises and stops the HTTP process, the MLflow server and the runner."""

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
from rich.markup import escape

from service.cli.display import show_error
from service.errors import PortTakenError, ServiceError, StartError
from service.home import prepare_home, require_space
from service.processes.child_process import START_AGAIN, ChildProcess, ProcessSpec, stop_all
from service.schemas.problems import NO_MACHINE, PROBLEM_MEDIA_TYPE, Problem, problem_type
from service.settings import Settings, read_settings

#: Ray alone may take minutes, and several starts, on a busy machine.
_START_SECONDS = 600.0
_POLL_SECONDS = 0.2
#: A process is restarted at most this often within this time.
_MAX_RESTARTS, _RESTART_WINDOW_SECONDS = 5, 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServiceProcess:
    """A process of the service, with its readiness check.

    Args:
        spec: How to start it.
        ready_url: Responds with 200 once the process is ready.
    """

    spec: ProcessSpec
    ready_url: str


class Service:
    """A running service.

    Args:
        children: Its processes.
    """

    def __init__(self, children: list[ChildProcess]) -> None:
        """Keep the processes, which are started already."""
        self._children = children
        self._new_starts = 0

    def check(self) -> None:
        """Check that every process runs.

        Raises:
            ProcessDiedError: One has ended; the message has the last lines of its log.
        """
        for child in self._children:
            child.require_running()

    def check_start(self) -> None:
        """Check that every process runs; start those again that did not come up on a busy machine.

        Raises:
            ProcessDiedError: One has ended for another reason, or too often; the message has the last lines of its log.
        """
        for index, child in enumerate(self._children):
            if child.exit_status == START_AGAIN and self._new_starts < _MAX_RESTARTS:
                self._new_starts += 1
                child.wait()
                log.warning("the %s did not come up (see %s), and is started again", child.spec.name, child.spec.log)
                self._children[index] = ChildProcess(child.spec)
        self.check()

    def supervise(self) -> None:
        """Restart every process that ends, until one ends too often.

        Raises:
            ProcessDiedError: One ended several times in a minute; the message has the last lines of its log.
        """
        ended_at: dict[str, list[float]] = {}
        while True:
            for index, child in enumerate(self._children):
                if child.exit_status is None:
                    continue
                name, now = child.spec.name, time.monotonic()
                ended_at[name] = [*(at for at in ended_at.get(name, []) if now - at < _RESTART_WINDOW_SECONDS), now]
                if len(ended_at[name]) > _MAX_RESTARTS:
                    child.require_running()
                child.wait()
                log.error("the %s ended with exit status %s, and is started again", name, child.exit_status)
                self._children[index] = ChildProcess(child.spec)
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def run_service(settings: Settings, console: Console) -> Generator[Service]:
    """Start the service, yield it once it is ready, and stop it at the end.

    Args:
        settings: The deployment's settings.
        console: The console for progress messages.

    Raises:
        PortTakenError: A port is in use; nothing was started.
        UnwritableHomeError: The folder of the service's data cannot be written to; nothing was started.
        DiskFullError: The disk has too little room; nothing was started.
        StartError: A process did not become ready in time.
        ProcessDiedError: A process ended during the start.
    """
    check_port(settings.host, settings.port, "L4_PORT")
    if not settings.mlflow_uri:
        check_port("127.0.0.1", settings.mlflow_port, "L4_MLFLOW_PORT")
    prepare_home(settings.home)
    require_space(settings.home)
    children: list[ChildProcess] = []
    try:
        with console.status("Starting the service ...") as status:
            pending = {process.spec.name: process for process in service_processes(settings)}
            for process in pending.values():
                children.append(ChildProcess(process.spec))
            service = Service(children)
            for name, warning in _wait_until_ready(service, pending):
                status.update(f"Starting the service ... ({', '.join(pending)})")
                console.print(f"[green]✓[/] {name} is ready")
                if warning:
                    console.print(f"[red]✗[/] {escape(warning)}", highlight=False)
        yield service
    finally:
        with console.status("Stopping the service ..."):
            stop_all(children[::-1])
        console.print("The service has stopped.")


def service_processes(settings: Settings) -> list[ServiceProcess]:
    """Return the processes of the service, in starting order; they stop in reverse order.

    Args:
        settings: The deployment's settings.
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
    processes = [
        ServiceProcess(spec=mlflow, ready_url=f"{settings.tracking_uri}/health"),
        ServiceProcess(spec=api, ready_url=f"{settings.url}/healthz"),
        ServiceProcess(spec=runner, ready_url=f"{settings.url}/readyz"),
    ]
    return processes[1:] if settings.mlflow_uri else processes


def child_environment(settings: Settings) -> dict[str, str]:
    """Return an environment in which a child process reads the same settings.

    Args:
        settings: The settings; paths become absolute.
    """
    prefix = "L4_"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
    values = {name: value.absolute() if isinstance(value, Path) else value for name, value in settings}
    variables = {f"{prefix}{name.upper()}": str(value) for name, value in values.items() if value is not None}
    no_proxy = ",".join(filter(None, (os.environ.get("no_proxy", os.environ.get("NO_PROXY")), "127.0.0.1,localhost")))
    return (
        inherited
        | variables
        | {"no_proxy": no_proxy, "NO_PROXY": no_proxy}  # the processes reach one another without a proxy
        | {"MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}  # no telemetry
        | {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}  # else two lines per run in the driver's log
    )


def check_port(host: str, port: int, setting: str) -> None:
    """Check that a port is free.

    Args:
        host: The address to listen on.
        port: The port.
        setting: The environment variable that sets it.

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
        return {}  # an external cluster has its own token
    # Ray's default depends on its version, and writes a token into the user's home
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _wait_until_ready(service: Service, pending: dict[str, ServiceProcess]) -> Iterator[tuple[str, str]]:
    """Yield the name of each process that is ready, and what is wrong nevertheless; may be empty."""
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(timeout=2.0, trust_env=False) as client:
        while pending:
            service.check_start()
            if time.monotonic() > deadline:
                raise StartError(f"not ready after {_START_SECONDS:.0f} s: {_describe_logs(pending)}")
            for name, process in list(pending.items()):
                if (warning := _readiness(client, process.ready_url)) is not None:
                    del pending[name]
                    yield name, warning
            time.sleep(_POLL_SECONDS)


def _readiness(client: httpx.Client, url: str) -> str | None:
    """Return None if a process is not ready, else what is wrong nevertheless; empty if nothing is.

    The runner is ready, and the pages are there to read, on a machine that takes no packs.
    """
    try:
        response = client.get(url)
    except httpx.TransportError:
        return None
    if response.is_success:
        return ""
    if response.headers.get("Content-Type") != PROBLEM_MEDIA_TYPE:
        return None
    problem = Problem.model_validate_json(response.content)
    return problem.detail if problem.type == problem_type(NO_MACHINE) else None


def _describe_logs(pending: dict[str, ServiceProcess]) -> str:
    return ", ".join(f"the {name} (see {process.spec.log})" for name, process in pending.items())


def main() -> int:
    """Serve until Ctrl-C or SIGTERM.

    Returns:
        The exit status: 0 once stopped, 1 after an error.
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
    except (ServiceError, OSError) as error:
        show_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
