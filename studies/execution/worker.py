"""A pack as it travels to a worker and back, and its training there."""

import io
import logging
from dataclasses import asdict, replace

import torch

from studies import registry
from studies.errors import CompilationError
from studies.execution.jobs import Job, PackResult
from studies.records.rows import Mode
from studies.training.checkpoint import CheckpointWriter
from studies.training.compilation.compiled_step import CompiledStepper
from studies.training.compilation.program_cache import describe_processor, program_file, sources_digest
from studies.training.device import describe_host, raise_out_of_memory, set_matmul_precision
from studies.training.lanes import EagerStepper, Lanes, StackedStep, StepperFactory
from studies.training.loop import train
from studies.training.measurements import Measurement
from studies.workloads.datasets.download import download_files

log = logging.getLogger(__name__)


def train_pack(job: Job, device: str) -> PackResult:
    """Train a job's pack in this process.

    Args:
        job: The pack.
        device: Where to train, as torch names it.

    Raises:
        DataMissingError: Where the data set is neither there nor could be downloaded.
        OutOfMemoryError: Where the pack did not fit into memory.
    """
    torch.set_num_threads(job.threads)
    set_matmul_precision(job.task.precision)
    download_files(registry.load_workload(job.task.workload).files(job.task.options), job.data_dir)
    host = describe_host(device)
    log.info("pack %s: %s lanes for %s steps on %s", job.number, len(job.task.lanes), job.task.steps, host)
    with raise_out_of_memory(len(job.task.lanes), job.task.workload, device):
        trained = _train(job, device)
    _log_early_ends(job, trained.measurements)
    return trained


def _train(job: Job, device: str) -> PackResult:
    def compiled(step: StackedStep, start: Lanes) -> CompiledStepper:
        lanes = len(start.alive)
        return CompiledStepper(
            step, start, program_file(job.programs, job.optimizer, job.task, lanes, job.threads, device)
        )

    if job.mode is Mode.COMPILED:
        try:
            return _train_in_mode(Mode.COMPILED, job, device, compiled, job.width)
        except CompilationError as error:
            log.warning("%s; pack %s trains eagerly", error, job.number)
    return _train_in_mode(Mode.EAGER, job, device, EagerStepper, None)


def _train_in_mode(mode: Mode, job: Job, device: str, make: StepperFactory, width: int | None) -> PackResult:
    workload, optimizer = registry.load_workload(job.task.workload), registry.load_optimizer(job.optimizer)
    # all that a result depends on, but for the data, which have known hashes or come from the seeds
    what = [
        asdict(job.task),
        job.optimizer,
        mode,
        width,
        job.threads,
        device,
        describe_processor(device),
        sources_digest(),
    ]
    kept = job.checkpoints
    keeper = CheckpointWriter(
        kept.path(job.number), what, interval=kept.interval_seconds, max_time_share=kept.max_overhead
    )
    measured = train(
        job.task,
        workload,
        optimizer,
        job.data_dir,
        device=device,
        make_stepper=make,
        width=width,
        checkpoint_writer=keeper,
    )
    return PackResult(
        measurements=tuple(replace(each, parameters={}) for each in measured),
        parameters=tuple(_serialized_parameters(each) for each in measured),
        mode=mode,
        seconds=keeper.seconds,
        host=describe_host(device),
    )


def _log_early_ends(job: Job, measured: tuple[Measurement, ...]) -> None:
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


def _serialized_parameters(measured: Measurement) -> bytes:
    file = io.BytesIO()
    torch.save(dict(measured.parameters), file)
    return file.getvalue()
