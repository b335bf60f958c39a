"""Ray clusters: start, join, size and leave one."""

import contextlib
import signal
import socket
import threading
from collections.abc import Generator
from typing import Any

import ray
from ray._raylet import GcsClient  # pyright: ignore
from ray.exceptions import AuthenticationError, RpcError

from studies.environment import describe_hardware, package_version
from studies.errors import ClusterError, CodeMismatchError
from studies.training.compilation.program_cache import sources_digest
from studies.validation.catalogue import Machines


def machines(gpus_per_pack: float | None) -> Machines:
    """Return what studies are trained on, on the Ray cluster that this process is in.

    Args:
        gpus_per_pack: As the settings have it.
    """
    workers, gpus = cluster_size(gpus_per_pack)
    # what was measured on a processor says nothing of a GPU
    where = describe_hardware() + (f", {gpus:g} GPU a pack" if gpus else "")
    return Machines(hardware=where, code=sources_digest(), workers=workers, gpus=gpus)


#: What a process that drives Tune sets in its environment first: no result files beside our rows, no usage reports,
#: no snapshots of an experiment that is never restored from them.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
#: What Ray's nodes are labelled with.
CODE_LABEL = "l4-code"
#: So long a head may take to be reached, and to answer.
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 5.0, 10


def start_local(cpus: int | None) -> str:
    """Start Ray on this machine, owned by this process, and return its address.

    Args:
        cpus: Processors to offer; all of the machine's where None.
    """
    _init(address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False)
    return ray.get_runtime_context().gcs_address


def is_local_ray_alive() -> bool:
    """Whether the Ray that `start_local` started in this process is whole, as far as its processes tell."""
    node = ray._private.worker._global_node  # pyright: ignore
    return node is not None and node.remaining_processes_alive()


def code_label() -> str:
    """Return what a node of a cluster is labelled with: of which code and torch it is."""
    return f"{CODE_LABEL}={code_version()}"


def require_same_code(address: str) -> None:
    """Make sure that this machine has the code of a cluster's head, before it joins.

    Args:
        address: Of the head, with the port.

    Raises:
        ClusterError: It does not answer yet, or refuses this machine's token.
        CodeMismatchError: It has other code.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT).close()  # Ray's client waits for 40 s
        nodes = GcsClient(address=address).get_all_node_info(timeout=_ANSWER_TIMEOUT)
    except AuthenticationError as error:
        raise ClusterError(
            f"the Ray head at {address} refuses this machine's token; give it the token of the head's machine"
        ) from error
    except (OSError, RpcError) as error:
        raise ClusterError(f"no Ray head answers at {address} ({error}); start it, and open its ports") from error
    heads = [dict(node.labels).get(CODE_LABEL, "none") for node in nodes.values() if node.is_head_node]
    if not heads:
        raise ClusterError(f"the Ray head at {address} is still starting")
    if code_version() not in heads:
        raise CodeMismatchError(
            f"this machine has {code_version()}, and the Ray head at {address} has {', '.join(heads)}: "
            "train with the same images (or installation) on all machines"
        )


def code_version() -> str:
    """Return version and digest of all that decides results here, in the letters of a Ray label."""
    return f"{package_version('l4-studies')}-{sources_digest()[:12]}"


@contextlib.contextmanager
def connected(address: str) -> Generator[None]:
    """Be in a cluster.

    What SIGTERM is not to cut off is done inside: while a process leaves Ray, the signal ends it, whatever its handler.

    Args:
        address: The Ray cluster.

    Raises:
        ConnectionError: It does not answer.
    """
    _init(address=address, log_to_driver=False, configure_logging=False)
    try:
        yield
    finally:
        disconnect()


def cluster_size(gpus: float | None) -> tuple[int, float]:
    """Return how many packs the cluster that this process is in trains at once, and the GPUs of each of them.

    Args:
        gpus: As for `run_experiment`.
    """
    there, share = ray.cluster_resources(), resolve_gpus_per_pack(gpus)
    cpus = int(there.get("CPU", 0))
    workers = min(cpus, int(there.get("GPU", 0) / share)) if share else cpus
    return max(1, workers), share


def disconnect() -> None:
    """Leave Ray, and end it where this process started it."""
    with _preserve_sigterm():
        ray.shutdown()


def resolve_gpus_per_pack(gpus: float | None) -> float:
    """Return the GPUs of each pack: what was chosen, else one where the cluster has any."""
    return float(cluster_gpus() >= 1) if gpus is None else gpus


def cluster_gpus() -> float:
    """Return the GPUs of the cluster that this process is in."""
    return ray.cluster_resources().get("GPU", 0.0)


def _init(**options: Any) -> None:
    with _preserve_sigterm():
        ray.init(**options)


@contextlib.contextmanager
def _preserve_sigterm() -> Generator[None]:
    """Leave SIGTERM with who had it: Ray takes it when it is joined, and has it end the process when it is left."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
