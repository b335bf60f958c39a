"""A node of a Ray cluster of containers, in the foreground: `python -m service.runner.node head` or `worker`.

The head node runs Ray's head, which takes no packs, and the runner. A worker joins only a head that runs the same code,
and takes no packs if torch cannot use the GPUs that Ray would offer.
A node exits when one of its processes exits, so that the container is restarted, and shuts down cleanly on SIGTERM.
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
from studies.training.gpu_check import GpuFault

#: Ports for other machines; docker/compose.head.yml and compose.node.yml publish the same ones.
GCS_PORT, NODE_MANAGER_PORT, OBJECT_MANAGER_PORT = 6379, 6380, 6381
#: Ports of Ray's worker processes, one for each process that trains or drives.
WORKER_PORTS = range(10100, 10164)
#: Limit of a worker's processors, and so of its packs: fewer than ports, as ending processes still hold theirs.
MAX_PACKS = len(WORKER_PORTS) - 4
#: Jobs and measurements are small; the object store must fit into /dev/shm.
OBJECT_STORE_BYTES = 512 * 2**20

_POLL_SECONDS = 0.5
#: Seconds that the runner may take to stop its drivers, and Ray its processes.
_RUNNER_GRACE, _RAY_GRACE = 45.0, 10.0

log = logging.getLogger("service.runner.node")  # as a program its name is `__main__`


def ray_start_command(settings: Settings, role: str, fault: GpuFault | None = None) -> tuple[str, ...]:
    """Return the command that runs Ray's processes on this machine in the foreground.

    Args:
        settings: The deployment's settings; the addresses of the head and of this machine are used.
        role: `head` or `worker`.
        fault: Why a worker takes no packs; None if it does.
    """
    address_options = (
        (f"--node-ip-address={socket.gethostbyname(settings.node_address)}",) if settings.node_address else ()
    )
    role_options = (
        ("--head", f"--port={GCS_PORT}", "--include-dashboard=false")
        if role == "head"
        else (f"--address={settings.ray_address}",)
    )
    takes_packs = role == "worker" and fault is None
    cpus = min(settings.cpus or count_processors(), MAX_PACKS) if takes_packs else 0
    gpu_options = () if takes_packs and settings.gpus_per_pack != 0 else ("--num-gpus=0",)
    return (
        *("ray", "start", "--block", "--disable-usage-stats", "--include-log-monitor=false"),
        *(role_options + address_options + gpu_options),
        f"--num-cpus={cpus}",
        f"--node-manager-port={NODE_MANAGER_PORT}",
        f"--object-manager-port={OBJECT_MANAGER_PORT}",
        f"--min-worker-port={WORKER_PORTS[0]}",
        f"--max-worker-port={WORKER_PORTS[-1]}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--labels={cluster.node_labels(fault)}",
    )


def count_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def run_head(settings: Settings, stopping: threading.Event) -> int:
    """Run Ray's head and the runner until one of them ends.

    Args:
        settings: The deployment's settings.
        stopping: Set when this process must stop.

    Returns:
        The exit status: 0 if it stopped on request.
    """
    address = f"{socket.gethostbyname(settings.node_address or socket.gethostname())}:{GCS_PORT}"
    with _running(ray_start_command(settings, "head"), _RAY_GRACE) as ray:
        if not _wait_for_head(address, lambda: stopping.is_set() or ray.poll() is not None):
            return _wait_for_exit({"Ray": ray}, stopping)
        with _running((sys.executable, "-m", "service.runner"), _RUNNER_GRACE, L4_RAY_ADDRESS=address) as runner:
            return _wait_for_exit({"Ray": ray, "the runner": runner}, stopping)


def run_worker(settings: Settings, stopping: threading.Event) -> int:
    """Run a worker node until its Ray process ends; it joins without any resources if its GPUs are unusable.

    Args:
        settings: The deployment's settings.
        stopping: Set when this process must stop.

    Raises:
        CodeMismatchError: The head runs other code.
    """
    if not _wait_for_head(settings.ray_address, stopping.is_set):
        return 0
    fault = cluster.check_machine(settings.gpus_per_pack)
    if fault is not None:
        log.error("this node takes no packs: %s; then start it again", fault.message)
    log.info("joining the Ray head at %s", settings.ray_address)
    with _running(ray_start_command(settings, "worker", fault), _RAY_GRACE) as ray:
        return _wait_for_exit({"Ray": ray}, stopping)


@contextlib.contextmanager
def _running(command: tuple[str, ...], grace: float, **variables: str) -> Generator[subprocess.Popen[bytes]]:
    """Run a command; at the end it gets SIGTERM, and SIGKILL after the grace period."""
    child = subprocess.Popen(command, env=os.environ | variables)
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
    """Wait until a head with the same code answers, or waiting has become pointless; log each obstacle once."""
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


def _wait_for_exit(processes: dict[str, subprocess.Popen[bytes]], stopping: threading.Event) -> int:
    while not stopping.wait(_POLL_SECONDS):
        for name, process in processes.items():
            if process.poll() is not None:
                log.error("%s ended with exit status %s; so does this node", name, process.returncode)
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
