"""A pack as it travels to a worker and back, and its training there."""

import io
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from studies import fetch, registry
from studies.errors import OutOfMemoryError
from studies.measurements import Measurement
from studies.train import Task, train


@dataclass(frozen=True, kw_only=True)
class Job:
    """A pack as it travels to a worker.

    Args:
        pack: The pack's number.
        optimizer: The registered optimizer's name.
        task: What to train.
        threads: Threads of the training process; they are part of the result.
        data_dir: The data directory.
    """

    pack: int
    optimizer: str
    task: Task
    threads: int
    data_dir: Path


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained pack as it travels back.

    Args:
        measurements: In lane order, without parameters.
        parameters: Every lane's final parameters by name, as `torch.save` writes them.
        seconds: Wall-clock seconds of training.
        host: Machine and device.
    """

    measurements: tuple[Measurement, ...]
    parameters: tuple[bytes, ...]
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
    workload = registry.workload(job.task.workload)
    fetch.fetch(workload.files(job.task.options), job.data_dir)
    started = time.monotonic()
    try:
        measured = train(job.task, workload, registry.optimizer(job.optimizer), job.data_dir, device=device)
    except (MemoryError, RuntimeError) as error:
        # torch's CPU allocator raises a plain RuntimeError, which only its text tells apart
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            lanes = len(job.task.lanes)
            raise OutOfMemoryError(
                f"a pack of {lanes} lanes of {job.task.workload} did not fit into the memory of {_host(device)}; "
                "make the workload smaller or give the worker more memory"
            ) from error
        raise
    return Trained(
        measurements=tuple(replace(each, parameters={}) for each in measured),
        parameters=tuple(_saved(each) for each in measured),
        seconds=time.monotonic() - started,
        host=_host(device),
    )


def _saved(measured: Measurement) -> bytes:
    file = io.BytesIO()
    torch.save(dict(measured.parameters), file)
    return file.getvalue()


def _host(device: str) -> str:
    named = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return f"{platform.node()} ({named})"
