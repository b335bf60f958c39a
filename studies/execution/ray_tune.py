"""Training of packs on Ray Tune: reused worker actors, and a searcher that suggests the next planned pack."""

import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError as WorkerKilledForMemory
from ray.exceptions import RayActorError
from ray.tune import Callback, CheckpointConfig, RunConfig, Trainable, TuneConfig, Tuner
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from studies.errors import CodeMismatchError, OutOfMemoryError, StoppedError, StudiesError
from studies.execution.calibration import calibrate
from studies.execution.jobs import FailureKind, Job, PackResult, Probe
from studies.execution.log_forwarding import capture_logs, drain, replay_logs
from studies.execution.pack_source import ErrorCapturingSource, JobSource
from studies.execution.ray_cluster import cluster_gpus, code_version, resolve_gpus_per_pack
from studies.execution.worker import train_pack
from studies.training.device import keep_freed_memory

log = logging.getLogger(__name__)


def run_experiment(
    source: JobSource,
    *,
    name: str,
    storage: Path,
    stopping: Callable[[], bool],
    gpus_per_pack: float | None = None,
    max_packs: Callable[[float], int | None] = lambda gpus: None,
    train: Callable[[Job, str], PackResult] = train_pack,
) -> None:
    """Train all packs of a source, as one Tune experiment on the cluster that this process is connected to.

    Args:
        source: Provides packs; its errors end the experiment and are raised from here.
        name: The experiment's name.
        storage: Folder for Tune's own files.
        stopping: Polled continually; True ends the experiment.
        gpus_per_pack: A fraction of one or a whole number; None for one GPU if the cluster has any, else none.
        max_packs: Maps the GPUs of a pack to the largest number of packs in flight; None for no limit.
        train: Trains a pack in a worker, on a torch device.

    Raises:
        StoppedError: `stopping` ended the experiment.
    """
    guarded = ErrorCapturingSource(source, stopping, train, max_packs, _describe_requirement)
    gpus = guarded.gpus_per_pack = resolve_gpus_per_pack(gpus_per_pack)
    tuner = Tuner(
        tune.with_resources(_Worker, {"cpu": 1, "gpu": gpus}),
        tune_config=TuneConfig(
            search_alg=_PackSearcher(guarded),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_pack_name,
            trial_dirname_creator=_pack_name,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(storage.absolute()),
            verbose=0,
            callbacks=[_ResultCallback(guarded)],
            stop=_ExperimentStopper(guarded),
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    if guarded.error is not None:
        raise guarded.error
    if stopping():
        raise StoppedError("the study was asked to stop")


def _describe_requirement(gpus: float) -> str:
    return f"{gpus:g} GPU, and the cluster has {cluster_gpus():g}" if gpus else "a CPU"


class _ExperimentStopper(Stopper):
    """Ends the experiment when the source should end."""

    def __init__(self, guarded: ErrorCapturingSource) -> None:
        """Store the source."""
        self._source = guarded

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single pack."""
        return False

    def stop_all(self) -> bool:
        """Return whether to stop all packs; Tune calls it continually while there are any."""
        self._source.poll()
        return self._source.should_end()


class _Worker(Trainable):
    """An actor that trains one pack after another."""

    def setup(self, config: dict[str, Any]) -> None:
        """Store the first pack."""
        keep_freed_memory()
        self._job: Job | Probe = config["job"]
        self._train: Callable[[Job, str], PackResult] = config["train"]
        self._driver_code: str = config["code"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Store the next pack."""
        self._job = new_config["job"]
        return True

    def step(self) -> dict[str, Any]:
        """Train the pack; errors of this package are returned as text."""
        with capture_logs(None if isinstance(self._job, Probe) else self._job.number) as queue:
            result = self._run_job()
        return {"done": True, "records": drain(queue)} | result

    def _run_job(self) -> dict[str, Any]:
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        try:
            if self._driver_code != code_version():
                raise CodeMismatchError(
                    f"{socket.gethostname()} has {code_version()}, and the study is driven by {self._driver_code}: "
                    "train with the same images (or installation) on all machines"
                )
            if isinstance(self._job, Probe):
                return {"speeds": calibrate(self._job, device)}
            return {"trained": self._train(self._job, device)}
        except OutOfMemoryError as error:
            return {"fault": str(error), "failure": FailureKind.MEMORY}
        except StudiesError as error:
            return {"fault": str(error), "failure": FailureKind.FAULT}


class _PackSearcher(Searcher):
    """Suggests the next pack of a source."""

    def __init__(self, guarded: ErrorCapturingSource) -> None:
        """Store the source."""
        super().__init__()
        self._source = guarded

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack, None if there is none at present, or `FINISHED`."""
        self._source.poll()  # without a pack in flight, Tune calls nothing else
        if self._source.call(lambda source: source.is_finished(), True):
            self._source.in_flight.throttled("")
            return Searcher.FINISHED
        job = None if self._source.is_throttled() else self._source.call(lambda source: source.next_job(), None)
        if job is None:
            return None
        self._source.in_flight.submitted(job.number)
        return {"job": job, "train": self._source.train, "code": code_version()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the callback handles results and errors first."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: a restarted driver plans from its rows."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


class _ResultCallback(Callback):
    """Passes results and failures to a source."""

    def __init__(self, guarded: ErrorCapturingSource) -> None:
        """Store the source."""
        self._source = guarded

    def on_trial_start(self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Record that a pack has a worker."""
        self._source.in_flight.started(_number(trial))

    def on_trial_result(
        self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on a pack's result, and remove it from Tune's, so that Tune does not store it."""
        number = _number(trial)
        self._source.in_flight.completed(number)
        replay_logs(result.pop("records"))
        if "fault" in result:
            self._source.call(lambda source: source.handle_failure(number, result["fault"], result["failure"]), None)
        elif "speeds" in result:
            speeds = result.pop("speeds")
            self._source.call(lambda source: source.record_speeds(number, speeds), None)
        else:
            trained = result.pop("trained")
            self._source.call(lambda source: source.record_result(number, trained), None)

    def on_trial_error(self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Pass on why a pack failed."""
        number = _number(trial)
        self._source.in_flight.completed(number)
        error = trial.get_pickled_error()
        log.error("pack %s failed", number, exc_info=error, extra={"pack": number})
        reason, failure = _describe_failure(error)
        self._source.call(lambda source: source.handle_failure(number, reason, failure), None)


def _describe_failure(error: BaseException | None) -> tuple[str, FailureKind]:
    """Return the reason of a failure in plain words, and its kind."""
    if isinstance(error, WorkerKilledForMemory):
        reason = "the worker was ended because its machine ran out of memory; make the workload smaller"
        return reason, FailureKind.MEMORY
    if isinstance(error, RayActorError) or error is None:
        return "the worker process died (killed, or its machine was lost)", FailureKind.LOST
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__, FailureKind.FAULT


def _number(trial: TuneTrial) -> int:
    job: Job | Probe = trial.config["job"]
    return job.number


def _pack_name(trial: TuneTrial) -> str:
    number = _number(trial)
    return f"pack-{number:05d}" if number >= 0 else f"probe-{-number:05d}"
