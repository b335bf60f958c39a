"""A pack as it travels to a worker and back, and its training there."""

import io
import logging
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import torch

from studies import fetch, memory, registry
from studies.checkpoints import Checkpoints
from studies.compiled import Compiled
from studies.errors import CompilationError
from studies.keeper import Keeper
from studies.lanes import Eager, Lanes, MakeStepper, StackedStep
from studies.measurements import Measurement
from studies.precision import products_in
from studies.programs import processor, program_file, sources
from studies.speeds import Mode
from studies.task import Task
from studies.train import train

log = logging.getLogger(__name__)


class Failure(StrEnum):
    """What kept a pack from being trained."""

    #: Its worker died; trying again may help.
    LOST = "lost"
    #: It did not fit into memory; a smaller one may.
    MEMORY = "memory"
    #: Anything else; trying again is of no use.
    FAULT = "fault"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A pack as it travels to a worker.

    Args:
        number: The pack's.
        optimizer: The registered optimizer's name.
        task: What to train.
        threads: Threads of the training process; they are part of the result.
        mode: How the step is to run, likewise.
        width: Lanes that a compiled step is made for; None for as many as runs.
        data_dir: The data directory.
        programs: Where compiled steps are kept.
        checkpoints: Where checkpoints are kept.
    """

    number: int
    optimizer: str
    task: Task
    threads: int
    mode: Mode
    width: int | None
    data_dir: Path
    programs: Path
    checkpoints: Checkpoints


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained pack as it travels back.

    Args:
        measurements: In lane order, without parameters.
        parameters: Every lane's final parameters by name, as `torch.save` writes them.
        mode: How the step ran: eagerly also where it could not be compiled.
        seconds: Wall-clock seconds of training, without what was lost on the way and done again.
        host: Machine and device.
    """

    measurements: tuple[Measurement, ...]
    parameters: tuple[bytes, ...]
    mode: Mode
    seconds: float
    host: str


def work(job: Job, device: str) -> Trained:
    """Train a job's pack in this process.

    Args:
        job: The pack.
        device: Where to train, as torch names it.

    Raises:
        DataMissingError: Where the data set is neither there nor could be downloaded.
        OutOfMemoryError: Where the pack did not fit into memory.
    """
    torch.set_num_threads(job.threads)
    products_in(job.task.precision)
    fetch.fetch(registry.workload(job.task.workload).files(job.task.options), job.data_dir)
    host = memory.host(device)
    log.info("pack %s: %s lanes for %s steps on %s", job.number, len(job.task.lanes), job.task.steps, host)
    with memory.told(len(job.task.lanes), job.task.workload, device):
        trained = _trained(job, device)
    _tell(job, trained.measurements)
    return trained


def _trained(job: Job, device: str) -> Trained:
    def compiled(step: StackedStep, start: Lanes) -> Compiled:
        lanes = len(start.alive)
        return Compiled(step, start, program_file(job.programs, job.optimizer, job.task, lanes, job.threads, device))

    if job.mode is Mode.COMPILED:
        try:
            return _trained_in(Mode.COMPILED, job, device, compiled, job.width)
        except CompilationError as error:
            log.warning("%s; pack %s trains eagerly", error, job.number)
    return _trained_in(Mode.EAGER, job, device, Eager, None)


def _trained_in(mode: Mode, job: Job, device: str, make: MakeStepper, width: int | None) -> Trained:
    workload, optimizer = registry.workload(job.task.workload), registry.optimizer(job.optimizer)
    # all that a result depends on, but for the data, which have known hashes or come from the seeds
    what = [asdict(job.task), job.optimizer, mode, width, job.threads, device, processor(device), sources()]
    kept = job.checkpoints
    keeper = Keeper(kept.path(job.number), what, every=kept.every, share=kept.share)
    measured = train(job.task, workload, optimizer, job.data_dir, device=device, make=make, width=width, keeper=keeper)
    return Trained(
        measurements=tuple(replace(each, parameters={}) for each in measured),
        parameters=tuple(_saved(each) for each in measured),
        mode=mode,
        seconds=keeper.seconds,
        host=memory.host(device),
    )


def _tell(job: Job, measured: tuple[Measurement, ...]) -> None:
    """Log how each run ended that did not come to its end."""
    for lane, (member, each) in enumerate(zip(job.task.lanes, measured, strict=True)):
        if each.diverged or each.stopped:
            log.info(
                "lane %s (seed %s, %s) %s after %s steps",
                lane,
                member.seed,
                ", ".join(f"{name} {value:g}" for name, value in member.setting.items()),
                "diverged" if each.diverged else "was stopped",
                each.steps,
                extra={"run": f"{job.number}-{lane}"},
            )


def _saved(measured: Measurement) -> bytes:
    file = io.BytesIO()
    torch.save(dict(measured.parameters), file)
    return file.getvalue()
