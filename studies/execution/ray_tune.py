"""Training packs on Ray Tune: worker actors that stay, and a searcher that hands out what is planned next."""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray._raylet import GcsClient  # pyright: ignore
from ray.exceptions import AuthenticationError, RayActorError, RpcError
from ray.exceptions import OutOfMemoryError as WorkerKilledForMemory
from ray.tune import Callback, CheckpointConfig, RunConfig, Trainable, TuneConfig, Tuner
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from studies import memory
from studies.calibrate import Probe, calibrate
from studies.environment import package
from studies.errors import ClusterError, OtherCodeError, OutOfMemoryError, StoppedError, StudiesError
from studies.overheard import drained, overheard, say_again
from studies.programs import sources
from studies.source import Guard, Source
from studies.worker import Failure, Job, Trained, work

log = logging.getLogger(__name__)

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
LABEL = "l4-code"
#: So long a head may take to be reached, and to answer.
_REACHED_SECONDS, _ANSWER_SECONDS = 5.0, 10


def start_local(cpus: int | None) -> str:
    """Start Ray on this machine, owned by this process, and return its address.

    Args:
        cpus: Processors to offer; all of the machine's where None.
    """
    _init(address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False)
    return ray.get_runtime_context().gcs_address


def local_ray_lives() -> bool:
    """Whether the Ray that `start_local` started in this process is whole, as far as its processes tell."""
    node = ray._private.worker._global_node  # pyright: ignore
    return node is not None and node.remaining_processes_alive()


def label() -> str:
    """Return what a node of a cluster is labelled with: of which code and torch it is."""
    return f"{LABEL}={_code()}"


def require_same_code(address: str) -> None:
    """Make sure that this machine has the code of a cluster's head, before it joins.

    Args:
        address: Of the head, with the port.

    Raises:
        ClusterError: It does not answer yet, or refuses this machine's token.
        OtherCodeError: It has other code.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _REACHED_SECONDS).close()  # Ray's client waits for 40 s
        nodes = GcsClient(address=address).get_all_node_info(timeout=_ANSWER_SECONDS)
    except AuthenticationError as error:
        raise ClusterError(
            f"the Ray head at {address} refuses this machine's token; give it the token of the head's machine"
        ) from error
    except (OSError, RpcError) as error:
        raise ClusterError(f"no Ray head answers at {address} ({error}); start it, and open its ports") from error
    heads = [dict(node.labels).get(LABEL, "none") for node in nodes.values() if node.is_head_node]
    if not heads:
        raise ClusterError(f"the Ray head at {address} is still starting")
    if _code() not in heads:
        raise OtherCodeError(
            f"this machine has {_code()}, and the Ray head at {address} has {', '.join(heads)}: "
            "train with the same images (or installation) on all machines"
        )


def _code() -> str:
    """Return version and digest of all that decides results here, in the letters of a Ray label."""
    return f"{package('l4-studies')}-{sources()[:12]}"


@contextlib.contextmanager
def joined(address: str) -> Generator[None]:
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
        stop()


def size(gpus: float | None) -> tuple[int, float]:
    """Return how many packs the cluster that this process is in trains at once, and the GPUs of each of them.

    Args:
        gpus: As for `run`.
    """
    there, share = ray.cluster_resources(), _share(gpus)
    cpus = int(there.get("CPU", 0))
    workers = min(cpus, int(there.get("GPU", 0) / share)) if share else cpus
    return max(1, workers), share


def stop() -> None:
    """Leave Ray, and end it where this process started it."""
    with _own_signals():
        ray.shutdown()


def run(
    source: Source,
    *,
    name: str,
    storage: Path,
    stopping: Callable[[], bool],
    gpus: float | None = None,
    most: Callable[[float], int | None] = lambda share: None,
    train: Callable[[Job, str], Trained] = work,
) -> None:
    """Train everything a source hands out, as one Tune experiment on the cluster that this process is in.

    Args:
        source: Where packs come from; what it raises ends the experiment and is raised from here.
        name: The experiment's name.
        storage: Folder for what Tune itself writes.
        stopping: Asked all the time; True ends the experiment.
        gpus: GPUs of each pack, a part of one or a whole number; None for one where the cluster has any, else none.
        most: From the GPUs of a pack to how many packs may be out at once, asked all the time; None for any number.
        train: Trains a pack in a worker, on a device as torch names it.

    Raises:
        StoppedError: Where `stopping` ended it.
    """
    guard = Guard(source, stopping, train, most, _needs)
    share = guard.share = _share(gpus)
    tuner = Tuner(
        tune.with_resources(_Worker, {"cpu": 1, "gpu": share}),
        tune_config=TuneConfig(
            search_alg=_Planned(guard),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_pack_name,
            trial_dirname_creator=_pack_name,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(storage.absolute()),
            verbose=0,
            callbacks=[_Sink(guard)],
            stop=_Stop(guard),
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    if guard.error is not None:
        raise guard.error
    if stopping():
        raise StoppedError("the study was asked to stop")


def _share(gpus: float | None) -> float:
    """Return the GPUs of each pack: what was chosen, else one where the cluster has any."""
    return float(_cluster_gpus() >= 1) if gpus is None else gpus


def _cluster_gpus() -> float:
    return ray.cluster_resources().get("GPU", 0.0)


def _needs(share: float) -> str:
    return f"{share:g} GPU, and the cluster has {_cluster_gpus():g}" if share else "a CPU"


def _init(**options: Any) -> None:
    with _own_signals():
        ray.init(**options)


@contextlib.contextmanager
def _own_signals() -> Generator[None]:
    """Leave SIGTERM with who had it: Ray takes it when it is joined, and has it end the process when it is left."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class _Stop(Stopper):
    """Ends the experiment when the guard says so."""

    def __init__(self, guard: Guard) -> None:
        """Keep the guard."""
        self._guard = guard

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single pack."""
        return False

    def stop_all(self) -> bool:
        """Whether to stop all packs; asked all the time while there are any."""
        self._guard.look()
        return self._guard.ended()


class _Worker(Trainable):
    """An actor that trains one pack after another."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first pack."""
        memory.keep()
        self._job: Job | Probe = config["job"]
        self._train: Callable[[Job, str], Trained] = config["train"]
        self._driver: str = config["code"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next pack."""
        self._job = new_config["job"]
        return True

    def step(self) -> dict[str, Any]:
        """Train the pack; what goes wrong on purpose travels back in words."""
        with overheard(None if isinstance(self._job, Probe) else self._job.number) as said:
            result = self._result()
        return {"done": True, "said": drained(said)} | result

    def _result(self) -> dict[str, Any]:
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        try:
            if self._driver != _code():
                raise OtherCodeError(
                    f"{socket.gethostname()} has {_code()}, and the study is driven by {self._driver}: "
                    "train with the same images (or installation) on all machines"
                )
            if isinstance(self._job, Probe):
                return {"speeds": calibrate(self._job, device)}
            return {"trained": self._train(self._job, device)}
        except OutOfMemoryError as error:
            return {"fault": str(error), "failure": Failure.MEMORY}
        except StudiesError as error:
            return {"fault": str(error), "failure": Failure.FAULT}


class _Planned(Searcher):
    """Suggests the packs that a source hands out."""

    def __init__(self, guard: Guard) -> None:
        """Keep the guarded source."""
        super().__init__()
        self._guard = guard

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack, None for later, or that there are no more."""
        self._guard.look()  # with no pack out, this is all that is asked
        if self._guard.call(lambda source: source.finished(), True):
            self._guard.line.held_back("")
            return Searcher.FINISHED
        job = None if self._guard.held_back() else self._guard.call(lambda source: source.take(), None)
        if job is None:
            return None
        self._guard.line.handed_out(job.number)
        return {"job": job, "train": self._guard.train, "code": _code()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: results and errors go through the callback, which sees them first."""

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: a restarted driver plans from its rows."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


class _Sink(Callback):
    """Hands measurements and failures to a source."""

    def __init__(self, guard: Guard) -> None:
        """Keep the guarded source."""
        self._guard = guard

    def on_trial_start(self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Note that a pack has its worker."""
        self._guard.line.started(_number(trial))

    def on_trial_result(
        self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Take a pack's result out of Tune's hands, so that Tune does not keep it."""
        number = _number(trial)
        self._guard.line.came_back(number)
        say_again(result.pop("said"))
        if "fault" in result:
            self._guard.call(lambda source: source.failed(number, result["fault"], result["failure"]), None)
        elif "speeds" in result:
            speeds = result.pop("speeds")
            self._guard.call(lambda source: source.measured(number, speeds), None)
        else:
            trained = result.pop("trained")
            self._guard.call(lambda source: source.trained(number, trained), None)

    def on_trial_error(self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Say in plain words why a pack failed."""
        number = _number(trial)
        self._guard.line.came_back(number)
        error = trial.get_pickled_error()
        log.error("pack %s failed", number, exc_info=error, extra={"pack": number})
        reason, failure = _plain(error)
        self._guard.call(lambda source: source.failed(number, reason, failure), None)


def _plain(error: BaseException | None) -> tuple[str, Failure]:
    """Return a failure in plain words, and of which kind it is."""
    if isinstance(error, WorkerKilledForMemory):
        reason = "the worker was ended because its machine ran out of memory; make the workload smaller"
        return reason, Failure.MEMORY
    if isinstance(error, RayActorError) or error is None:
        return "the worker process died (killed, or its machine was lost)", Failure.LOST
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__, Failure.FAULT


def _number(trial: TuneTrial) -> int:
    job: Job | Probe = trial.config["job"]
    return job.number


def _pack_name(trial: TuneTrial) -> str:
    number = _number(trial)
    return f"pack-{number:05d}" if number >= 0 else f"probe-{-number:05d}"
