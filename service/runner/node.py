"""A node of the Ray cluster that containers make, in the foreground: `python -m service.runner.node head`, or `worker`.

The head has the runner beside it: without either nothing trains, so that they live and die together. A head takes no
packs. A worker joins no head that has other code. Both end where one of their processes does, for the container to be
started again, and on SIGTERM in good order.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator

from service.errors import ServiceError
from service.processes.json_logging import configure_json_logging
from service.settings import Settings, read_settings
from studies.errors import ClusterError, StudiesError
from studies.execution import ray_cluster as cluster

#: What other machines reach: docker/compose.head.yml and compose.node.yml publish the same numbers.
GCS_PORT, NODE_MANAGER_PORT, OBJECT_MANAGER_PORT = 6379, 6380, 6381
#: One for each process that trains or drives.
WORKER_PORTS = range(10100, 10164)
#: A worker offers no more processors, and so takes no more packs at once, than there are ports; some are left over for
#: those that are just ending.
MAX_PACKS = len(WORKER_PORTS) - 4
#: Jobs and measurements are small; it has to fit into /dev/shm.
OBJECT_STORE_BYTES = 512 * 2**20

_POLL_SECONDS = 0.5
#: So long a runner may take to bring its drivers to an end, and Ray its processes.
_RUNNER_GRACE, _RAY_GRACE = 45.0, 10.0

log = logging.getLogger("service.runner.node")  # as a program its name is `__main__`


def ray_start_command(settings: Settings, role: str) -> tuple[str, ...]:
    """Return the command that runs Ray's processes on this machine until it is told to stop.

    Args:
        settings: Where the head is, and how this machine is reached.
        role: `head` or `worker`.
    """
    address_options = (
        (f"--node-ip-address={socket.gethostbyname(settings.node_address)}",) if settings.node_address else ()
    )
    role_options = (
        ("--head", f"--port={GCS_PORT}", "--num-cpus=0", "--num-gpus=0", "--include-dashboard=false")
        if role == "head"
        else (f"--address={settings.ray_address}", f"--num-cpus={min(settings.cpus or count_processors(), MAX_PACKS)}")
    )
    return (
        *("ray", "start", "--block", "--disable-usage-stats", "--include-log-monitor=false"),
        *(role_options + address_options),
        f"--node-manager-port={NODE_MANAGER_PORT}",
        f"--object-manager-port={OBJECT_MANAGER_PORT}",
        f"--min-worker-port={WORKER_PORTS[0]}",
        f"--max-worker-port={WORKER_PORTS[-1]}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--labels={cluster.code_label()}",
    )


def count_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def run_head(settings: Settings, stopping: threading.Event) -> int:
    """Run Ray's head and the runner until one of them ends.

    Args:
        settings: The deployment's.
        stopping: Set when this process is asked to stop.

    Returns:
        The exit status: 0 where it was asked to.
    """
    address = f"{socket.gethostbyname(settings.node_address or socket.gethostname())}:{GCS_PORT}"
    with _child(ray_start_command(settings, "head"), _RAY_GRACE) as ray:
        if not _wait_for_head(address, lambda: stopping.is_set() or ray.poll() is not None):
            return _wait_for_exit({"Ray": ray}, stopping)
        with _child((sys.executable, "-m", "service.runner"), _RUNNER_GRACE, L4_RAY_ADDRESS=address) as runner:
            return _wait_for_exit({"Ray": ray, "the runner": runner}, stopping)


def run_worker(settings: Settings, stopping: threading.Event) -> int:
    """Run a node that takes packs until its Ray ends.

    Args:
        settings: The deployment's.
        stopping: Set when this process is asked to stop.

    Raises:
        CodeMismatchError: The head has other code.
    """
    if not _wait_for_head(settings.ray_address, stopping.is_set):
        return 0
    log.info("joining the Ray head at %s", settings.ray_address)
    with _child(ray_start_command(settings, "worker"), _RAY_GRACE) as ray:
        return _wait_for_exit({"Ray": ray}, stopping)


@contextlib.contextmanager
def _child(command: tuple[str, ...], grace: float, **more: str) -> Generator[subprocess.Popen[bytes]]:
    """Run a command; at the end it is asked to stop, and killed where it takes too long."""
    child = subprocess.Popen(command, env=os.environ | more)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_for_head(address: str, ended: Callable[[], bool]) -> bool:
    """Wait until a head of this very code answers, or there is nothing to wait for; what keeps it is told once."""
    last_message = ""
    while not ended():
        try:
            cluster.require_same_code(address)
            return True
        except ClusterError as error:
            if str(error) != last_message:
                last_message = str(error)
                log.warning("%s; asked again until it is", last_message)
        time.sleep(_POLL_SECONDS)
    return False


def _wait_for_exit(parts: dict[str, subprocess.Popen[bytes]], stopping: threading.Event) -> int:
    while not stopping.wait(_POLL_SECONDS):
        for name, part in parts.items():
            if part.poll() is not None:
                log.error("%s ended with exit status %s; so does this node", name, part.returncode)
                return 1
    return 0


def main(arguments: list[str]) -> int:
    """Run a node until SIGTERM or Ctrl-C.

    Args:
        arguments: `head` or `worker`.
    """
    roles = {"head": run_head, "worker": run_worker}
    if arguments not in [[role] for role in roles]:
        sys.stderr.write(f"usage: python -m service.runner.node {'|'.join(roles)}\n")
        return 2
    configure_json_logging("node")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopping.set())
    try:
        return roles[arguments[0]](read_settings(), stopping)
    except (ServiceError, StudiesError, OSError) as error:
        log.error("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
