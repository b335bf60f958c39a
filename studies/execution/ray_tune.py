"""Training packs on Ray Tune: worker actors that stay, and a searcher that hands out what is planned next."""

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
    max_packs: Callable[[float], int | None] = lambda share: None,
    train: Callable[[Job, str], PackResult] = train_pack,
) -> None:
    """Train everything a source hands out, as one Tune experiment on the cluster that this process is in.

    Args:
        source: Where packs come from; what it raises ends the experiment and is raised from here.
        name: The experiment's name.
        storage: Folder for what Tune itself writes.
        stopping: Asked all the time; True ends the experiment.
        gpus_per_pack: A part of one or a whole number; None for one where the cluster has any, else none.
        max_packs: From the GPUs of a pack to how many packs may be out at once; None for any number.
        train: Trains a pack in a worker, on a device as torch names it.

    Raises:
        StoppedError: Where `stopping` ended it.
    """
    guard = ErrorCapturingSource(source, stopping, train, max_packs, _describe_requirement)
    share = guard.gpus_per_pack = resolve_gpus_per_pack(gpus_per_pack)
    tuner = Tuner(
        tune.with_resources(_Worker, {"cpu": 1, "gpu": share}),
        tune_config=TuneConfig(
            search_alg=_PackSearcher(guard),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_pack_name,
            trial_dirname_creator=_pack_name,
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(storage.absolute()),
            verbose=0,
            callbacks=[_ResultCallback(guard)],
            stop=_ExperimentStopper(guard),
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    if guard.error is not None:
        raise guard.error
    if stopping():
        raise StoppedError("the study was asked to stop")


def _describe_requirement(share: float) -> str:
    return f"{share:g} GPU, and the cluster has {cluster_gpus():g}" if share else "a CPU"


class _ExperimentStopper(Stopper):
    """Ends the experiment when the guard says so."""

    def __init__(self, guard: ErrorCapturingSource) -> None:
        """Keep the guard."""
        self._guard = guard

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single pack."""
        return False

    def stop_all(self) -> bool:
        """Whether to stop all packs; asked all the time while there are any."""
        self._guard.poll()
        return self._guard.should_end()


class _Worker(Trainable):
    """An actor that trains one pack after another."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first pack."""
        keep_freed_memory()
        self._job: Job | Probe = config["job"]
        self._train: Callable[[Job, str], PackResult] = config["train"]
        self._driver_code: str = config["code"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next pack."""
        self._job = new_config["job"]
        return True

    def step(self) -> dict[str, Any]:
        """Train the pack; what goes wrong on purpose travels back in words."""
        with capture_logs(None if isinstance(self._job, Probe) else self._job.number) as said:
            result = self._run_job()
        return {"done": True, "said": drain(said)} | result

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
    """Suggests the packs that a source hands out."""

    def __init__(self, guard: ErrorCapturingSource) -> None:
        """Keep the guarded source."""
        super().__init__()
        self._guard = guard

    def suggest(self, trial_id: str) -> Any:
        """Return the next pack, None for later, or that there are no more."""
        self._guard.poll()  # with no pack out, this is all that is asked
        if self._guard.call(lambda source: source.is_finished(), True):
            self._guard.in_flight.throttled("")
            return Searcher.FINISHED
        job = None if self._guard.is_throttled() else self._guard.call(lambda source: source.next_job(), None)
        if job is None:
            return None
        self._guard.in_flight.submitted(job.number)
        return {"job": job, "train": self._guard.train, "code": code_version()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: results and errors go through the callback, which sees them first."""

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: a restarted driver plans from its rows."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


class _ResultCallback(Callback):
    """Hands measurements and failures to a source."""

    def __init__(self, guard: ErrorCapturingSource) -> None:
        """Keep the guarded source."""
        self._guard = guard

    def on_trial_start(self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Note that a pack has its worker."""
        self._guard.in_flight.started(_number(trial))

    def on_trial_result(
        self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Take a pack's result out of Tune's hands, so that Tune does not keep it."""
        number = _number(trial)
        self._guard.in_flight.completed(number)
        replay_logs(result.pop("said"))
        if "fault" in result:
            self._guard.call(lambda source: source.handle_failure(number, result["fault"], result["failure"]), None)
        elif "speeds" in result:
            speeds = result.pop("speeds")
            self._guard.call(lambda source: source.record_speeds(number, speeds), None)
        else:
            trained = result.pop("trained")
            self._guard.call(lambda source: source.record_result(number, trained), None)

    def on_trial_error(self, iteration: int, trials: Sequence[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Say in plain words why a pack failed."""
        number = _number(trial)
        self._guard.in_flight.completed(number)
        error = trial.get_pickled_error()
        log.error("pack %s failed", number, exc_info=error, extra={"pack": number})
        reason, failure = _describe_failure(error)
        self._guard.call(lambda source: source.handle_failure(number, reason, failure), None)


def _describe_failure(error: BaseException | None) -> tuple[str, FailureKind]:
    """Return a failure in plain words, and of which kind it is."""
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
