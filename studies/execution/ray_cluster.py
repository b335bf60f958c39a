"""Ray clusters: start, join, size and leave one."""

import contextlib
import signal
import socket
import threading
from collections.abc import Generator
from typing import Any

import ray
from ray._private.resource_and_label_spec import ResourceAndLabelSpec
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient  # pyright: ignore
from ray.core.generated.gcs_pb2 import GcsNodeInfo  # pyright: ignore
from ray.exceptions import AuthenticationError, RpcError

from studies.environment import describe_hardware, package_version
from studies.errors import ClusterError, CodeMismatchError
from studies.training.compilation.program_cache import sources_digest
from studies.training.gpu_check import GpuFault, check_gpus, parse_fault
from studies.validation.catalogue import ClusterState, Machines, UnusableMachine


def machines(gpus_per_pack: float | None) -> Machines:
    """Return the machines of the Ray cluster that this process is connected to.

    Args:
        gpus_per_pack: As in the settings.
    """
    workers, gpus = cluster_size(gpus_per_pack)
    # speeds on a CPU do not apply to a GPU
    hardware = describe_hardware() + (f", {gpus:g} GPU a pack" if gpus else "")
    return Machines(hardware=hardware, code=sources_digest(), workers=workers, gpus=gpus)


#: Environment variables of a process that runs Tune: no result files, since rows are stored elsewhere, no usage
#: reports, and no snapshots, since experiments are never restored.
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
#: Labels of Ray nodes: the version of the code, and why a node takes no packs.
CODE_LABEL, FAULT_LABEL = "l4-code", "l4-fault"
#: Seconds to wait for a connection to a head, and for its answer.
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 5.0, 10


def start_local(cpus: int | None, gpus: int | None) -> str:
    """Start Ray on this machine, owned by this process, and return its address.

    Args:
        cpus: Number of CPUs to offer; None for all of the machine.
        gpus: Number of GPUs to offer; None for all of the machine.

    Raises:
        ClusterError: Ray did not start in the time that it allows itself; its processes end with this one.
    """
    try:
        _init(address="local", num_cpus=cpus, num_gpus=gpus, include_dashboard=False, log_to_driver=False)
    except Exception as error:  # Ray raises what it likes, plain exceptions among it
        raise ClusterError(f"Ray did not start: {error}") from error
    return ray.get_runtime_context().gcs_address


def is_local_ray_alive() -> bool:
    """Return whether all processes of the Ray that `start_local` started in this process are alive."""
    node = ray._private.worker._global_node  # pyright: ignore
    return node is not None and node.remaining_processes_alive()


def node_labels(fault: GpuFault | None) -> str:
    """Return the labels of this machine's node.

    Args:
        fault: Why it takes no packs; None if it does.
    """
    return f"{CODE_LABEL}={code_version()}" + (f",{FAULT_LABEL}={fault.label}" if fault is not None else "")


def check_machine(gpus_per_pack: float | None) -> GpuFault | None:
    """Return why this machine can train nothing, before Ray starts on it: torch cannot use its GPUs; None if it can.

    Args:
        gpus_per_pack: As in the settings; with 0, packs need no GPU.
    """
    # as many as Ray finds, and offers unless it is told another number
    offered = int(ResourceAndLabelSpec().resolve(is_head=False, node_ip_address="127.0.0.1").num_gpus or 0)
    return check_gpus(offered) if offered and gpus_per_pack != 0 else None


def read_state(address: str, gpus_per_pack: float | None) -> ClusterState:
    """Return which machines of a cluster take packs.

    Args:
        address: Address of the cluster, as in the settings.
        gpus_per_pack: As in the settings.

    Raises:
        ClusterError: The head does not answer, or refuses this machine's token.
    """
    try:
        head = canonicalize_bootstrap_address_or_die(address)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no Ray head is found at {address} ({error})") from error
    nodes = [node for node in _read_nodes(head) if node.state == GcsNodeInfo.ALIVE]
    resource = "GPU" if gpus_per_pack else "CPU"
    return ClusterState(
        can_train=any(node.resources_total.get(resource, 0.0) > 0 for node in nodes),
        unusable=tuple(
            UnusableMachine(host=node.node_manager_hostname, reason=parse_fault(node.labels[FAULT_LABEL]).message)
            for node in nodes
            if FAULT_LABEL in node.labels
        ),
    )


def require_same_code(address: str) -> None:
    """Check, before joining a cluster, that this machine has the same code as the cluster's head.

    Args:
        address: Address of the head, with the port.

    Raises:
        ClusterError: The head does not answer yet, or refuses this machine's token.
        CodeMismatchError: The head has different code.
    """
    heads = [dict(node.labels).get(CODE_LABEL, "none") for node in _read_nodes(address) if node.is_head_node]
    if not heads:
        raise ClusterError(f"the Ray head at {address} is still starting")
    if code_version() not in heads:
        raise CodeMismatchError(
            f"this machine has {code_version()}, and the Ray head at {address} has {', '.join(heads)}: "
            "train with the same images (or installation) on all machines"
        )


def _read_nodes(address: str) -> list[Any]:
    """Return all nodes of a cluster, dead ones too, as Ray's `GcsNodeInfo`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT).close()  # Ray's client waits for 40 s
        return list(GcsClient(address=address).get_all_node_info(timeout=_ANSWER_TIMEOUT).values())
    except AuthenticationError as error:
        raise ClusterError(
            f"the Ray head at {address} refuses this machine's token; give it the token of the head's machine"
        ) from error
    except (OSError, RpcError) as error:
        raise ClusterError(f"no Ray head answers at {address} ({error}); start it, and open its ports") from error


def code_version() -> str:
    """Return the version and a digest of the code that results depend on, in characters that a Ray label allows."""
    return f"{package_version('l4-studies')}-{sources_digest()[:12]}"


@contextlib.contextmanager
def connected(address: str) -> Generator[None]:
    """Connect to a cluster within the context.

    Work that SIGTERM must not interrupt belongs inside: while a process disconnects from Ray, the signal ends it,
    whatever its handler.

    Args:
        address: The address of the Ray cluster.

    Raises:
        ConnectionError: The cluster does not answer.
    """
    _init(address=address, log_to_driver=False, configure_logging=False)
    try:
        yield
    finally:
        disconnect()


def cluster_size(gpus: float | None) -> tuple[int, float]:
    """Return how many packs the connected cluster trains at the same time, and the GPUs of each pack.

    Args:
        gpus: As for `run_experiment`.
    """
    resources, gpus_per_pack = ray.cluster_resources(), resolve_gpus_per_pack(gpus)
    cpus = int(resources.get("CPU", 0))
    workers = min(cpus, int(resources.get("GPU", 0) / gpus_per_pack)) if gpus_per_pack else cpus
    return max(1, workers), gpus_per_pack


def disconnect() -> None:
    """Disconnect from Ray, and stop it if this process started it."""
    with _preserve_sigterm():
        ray.shutdown()


def resolve_gpus_per_pack(gpus: float | None) -> float:
    """Return the GPUs of each pack: the given number, else one if the cluster has any."""
    return float(cluster_gpus() >= 1) if gpus is None else gpus


def cluster_gpus() -> float:
    """Return the number of GPUs of the connected cluster."""
    return ray.cluster_resources().get("GPU", 0.0)


def _init(**options: Any) -> None:
    with _preserve_sigterm():
        ray.init(**options)


@contextlib.contextmanager
def _preserve_sigterm() -> Generator[None]:
    """Restore the SIGTERM handler, which Ray replaces on connecting and on disconnecting."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
