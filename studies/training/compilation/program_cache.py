"""Cache of compiled steps: file names with a digest of everything that a program depends on."""

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
    """Return the file of a pack's compiled step, whether or not it exists.

    Machines may share the folder of all programs. Each instruction set has a subfolder, since Inductor compiles for the
    machine's own instructions and keeps the machine code beside the program, under names that do not depend on them.

    Args:
        folder: Folder of all programs.
        optimizer: The registered optimizer's name.
        task: The task; its lanes, lengths, seeds and settings have no influence.
        lanes: Number of lanes of the pack.
        threads: Number of threads of the training process.
        device: Its device, as torch names it.
    """
    dependencies = [
        *(task.workload, sorted(task.options.items()), optimizer, task.precision),
        *(lanes, threads, device, describe_processor(device), sources_digest()),
    ]
    digest = hashlib.sha256(json.dumps(dependencies).encode()).hexdigest()[:16]
    instruction_set = hashlib.sha256(environment.describe_instruction_set().encode()).hexdigest()[:16]
    return folder / instruction_set / f"{task.workload}-{optimizer}-{lanes}-{digest}.program"


def describe_processor(device: str) -> str:
    """Return the processor's properties that results depend on.

    Args:
        device: The device, as torch names it.
    """
    if device == "cuda":
        return torch.cuda.get_device_name()
    # MKL rounds differently on processors of different vendors
    return f"{torch.backends.cpu.get_cpu_capability()} {environment.cpu_info('vendor_id')}"


@cache
def sources_digest() -> str:
    """Return a digest of this project's source, torch's version and the processor architecture."""
    digest = hashlib.sha256(f"{torch.__version__} {platform.machine()}".encode())
    for package in (l4, studies):
        assert package.__file__ is not None
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
