"""Where the compiled step of a pack is kept: a file whose name tells apart whatever makes another program."""

import hashlib
import json
import platform
from functools import cache
from pathlib import Path

import torch

import l4
import studies
from studies import environment
from studies.training.task import Task


def program_file(folder: Path, optimizer: str, task: Task, lanes: int, threads: int, device: str) -> Path:
    """Return where the compiled step of a pack is, whether or not it is there.

    Args:
        folder: Of all programs.
        optimizer: The registered optimizer's name.
        task: What is trained; its own lanes, lengths, seeds and settings do not matter.
        lanes: Lanes of the pack.
        threads: Threads of the training process.
        device: Where it trains, as torch names it.
    """
    what = [
        *(task.workload, sorted(task.options.items()), optimizer, task.precision),
        *(lanes, threads, device, describe_processor(device), sources_digest()),
    ]
    digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
    return folder / f"{task.workload}-{optimizer}-{lanes}-{digest}.program"


def describe_processor(device: str) -> str:
    """Return what computes, as far as results depend on it.

    Args:
        device: As torch names it.
    """
    if device == "cuda":
        return torch.cuda.get_device_name()
    # MKL takes other paths, which round differently, by the maker
    return f"{torch.backends.cpu.get_cpu_capability()} {environment.cpu_info('vendor_id')}"


@cache
def sources_digest() -> str:
    """Return a digest of all that programs are made from: this code, torch, the kind of processor."""
    digest = hashlib.sha256(f"{torch.__version__} {platform.machine()}".encode())
    for package in (l4, studies):
        assert package.__file__ is not None
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
