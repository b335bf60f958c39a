"""Training of a pack in a worker process."""

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
from studies.training.gpu_check import require_gpu
from studies.training.lanes import EagerStepper, Lanes, StackedStep, StepperFactory
from studies.training.loop import train
from studies.training.measurements import Measurement
from studies.workloads.datasets.download import download_files

log = logging.getLogger(__name__)


def train_pack(job: Job, device: str) -> PackResult:
    """Train a job's pack in this process.

    Args:
        job: The pack.
        device: The torch device.

    Raises:
        DataMissingError: The data set is neither in the data directory nor could it be downloaded.
        OutOfMemoryError: The pack did not fit into memory.
        UnusableGpuError: The device is a GPU that torch cannot use, on a machine that did not check it on joining.
    """
    if device == "cuda":
        require_gpu()
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
    # everything that a result depends on except for the data, which have known hashes or are generated from the seeds
    fingerprint = [
        asdict(job.task),
        job.optimizer,
        mode,
        width,
        job.threads,
        device,
        describe_processor(device),
        sources_digest(),
    ]
    store = job.checkpoints
    checkpoint_writer = CheckpointWriter(
        store.path(job.number), fingerprint, interval=store.interval_seconds, max_time_share=store.max_overhead
    )
    measurements = train(
        job.task,
        workload,
        optimizer,
        job.data_dir,
        device=device,
        make_stepper=make,
        width=width,
        checkpoint_writer=checkpoint_writer,
    )
    return PackResult(
        measurements=tuple(replace(measurement, parameters={}) for measurement in measurements),
        parameters=tuple(_serialize_parameters(measurement) for measurement in measurements),
        mode=mode,
        seconds=checkpoint_writer.seconds,
        host=describe_host(device),
    )


def _log_early_ends(job: Job, measurements: tuple[Measurement, ...]) -> None:
    """Log every run that diverged or was stopped."""
    for lane, (lane_task, measurement) in enumerate(zip(job.task.lanes, measurements, strict=True)):
        if measurement.diverged or measurement.stopped:
            log.info(
                "lane %s (seed %s, %s) %s after %s steps",
                lane,
                lane_task.seed,
                ", ".join(f"{name} {value:g}" for name, value in lane_task.setting.items()),
                "diverged" if measurement.diverged else "was stopped",
                measurement.steps,
                extra={"run": f"{job.number}-{lane}"},
            )


def _serialize_parameters(measurement: Measurement) -> bytes:
    file = io.BytesIO()
    torch.save(dict(measurement.parameters), file)
    return file.getvalue()
