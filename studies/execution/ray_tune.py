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

from studies.errors import OtherCodeError, OutOfMemoryError, StoppedError, StudiesError
from studies.execution.calibration import calibrate
from studies.execution.jobs import Failure, Job, Probe, Trained
from studies.execution.log_forwarding import drained, overheard, say_again
from studies.execution.pack_source import Guard, Source
from studies.execution.ray_cluster import cluster_gpus, code_version, gpu_share
from studies.execution.worker import work
from studies.training.device import keep_freed_memory

log = logging.getLogger(__name__)


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
    share = guard.share = gpu_share(gpus)
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


def _needs(share: float) -> str:
    return f"{share:g} GPU, and the cluster has {cluster_gpus():g}" if share else "a CPU"


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
        keep_freed_memory()
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
            if self._driver != code_version():
                raise OtherCodeError(
                    f"{socket.gethostname()} has {code_version()}, and the study is driven by {self._driver}: "
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
        return {"job": job, "train": self._guard.train, "code": code_version()}

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
