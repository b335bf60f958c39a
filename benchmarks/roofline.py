"""How far a compiled step is from what the machine can do: operations and bytes beside measured peaks, and its parts.

Usage: python benchmarks/roofline.py [--optimizer NAME] [WORKLOAD...]

One process of one thread on the CPU. Operations are those of matrix products and convolutions; bytes are the least that
a step must move: parameters and optimizer state read and written, gradients written and read, the batch read. The peaks
are a large matrix product, by the faster of MKL and oneDNN, and a large copy, measured first. The parts of a step are
its batch, the libraries' products, and the rest, which is the loops that were compiled.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from throughput import WANTED, Case
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from service.settings import read_settings
from studies import registry
from studies.training.compilation.compiled_step import CompiledStepper
from studies.training.compilation.program_cache import program_file
from studies.training.device import keep_freed_memory
from studies.training.initial_state import InitialState, build_initial_state
from studies.training.lanes import EagerStepper

#: Seconds of a measurement; at least so many repetitions.
SECONDS, LEAST = 2.0, 5


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """What the machine can do with one thread.

    Args:
        operations: Of a second in matrix products, by type.
        bytes: That a copy reads and writes in a second, both counted.
    """

    operations: dict[torch.dtype, float]
    bytes: float


def seconds(repeated: Callable[[], object]) -> float:
    """Return the median seconds of something."""
    repeated()
    taken: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(taken) < LEAST or time.perf_counter() < until:
        started = time.perf_counter()
        repeated()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def peaks() -> Peaks:
    """Measure the machine."""
    operations: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.float64):
        matrix = torch.randn(1024, 1024, dtype=dtype)
        result = torch.empty_like(matrix)
        taken = seconds(lambda a=matrix, out=result: torch.mm(a, a, out=out))
        if dtype is torch.float32 and torch.backends.mkldnn.is_available():
            taken = min(taken, seconds(lambda a=matrix: torch.ops.mkldnn._linear_pointwise(a, a, None, "none", [], "")))
        operations[dtype] = 2 * 1024**3 / taken
    large = torch.zeros(64 * 2**20)
    to = torch.empty_like(large)
    return Peaks(operations=operations, bytes=2 * _size(large) / seconds(lambda: to.copy_(large)))


def step_operations(start: InitialState) -> int:
    """Return the operations of products and convolutions in a step of all lanes."""
    batch = start.batches()
    counter = FlopCounterMode(display=False)
    with counter:
        EagerStepper(start.step, start.lanes).advance(*batch, start.hyperparameters_at(0))
    return counter.get_total_flops()


def step_bytes(start: InitialState) -> int:
    """Return the bytes that a step of all lanes must move."""
    carried = sum(_size(leaf) for leaf in tree_leaves((start.lanes.params, start.lanes.buffers, start.lanes.state)))
    gradients = sum(_size(each) for each in start.lanes.params)
    inputs, targets = start.batches()
    return 2 * carried + 2 * gradients + sum(_size(each) for each in (*inputs, targets))


def measure(case: Case, lanes: int, machine: Peaks) -> str:
    """Return a workload's row."""
    workload, optimizer = registry.load_workload(case.workload), registry.load_optimizer(case.optimizer)
    task = case.task(lanes)
    start = build_initial_state(task, workload, optimizer, case.data_dir, device="cpu")
    operations, least = step_operations(start), step_bytes(start)
    file = program_file(case.programs, case.optimizer, task, lanes, 1, "cpu")
    stepper = CompiledStepper(start.step, start.lanes, file)
    batch, setting = start.batches(), start.hyperparameters_at(0)
    program, gathered = seconds(lambda: stepper.advance(*batch, setting)), seconds(start.batches)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(LEAST):
            stepper.advance(*batch, setting)
    products = [each for each in profiled.key_averages() if each.key.startswith(("aten::", "mkldnn"))]
    library = 1e-6 / LEAST * sum(each.self_cpu_time_total for each in products)
    whole = program + gathered
    floor = max(operations / machine.operations[workload.dtype], least / machine.bytes)
    parts = gathered, min(library, program), max(program - library, 0.0)
    return (
        f"{case.workload:22} {lanes:5} {1e3 * whole / lanes:10.4f} {operations / whole / 1e9:9.1f} "
        f"{operations / whole / machine.operations[workload.dtype]:7.0%} {least / whole / 1e9:7.1f} "
        f"{least / whole / machine.bytes:7.0%} {whole / floor:7.1f}   " + "  ".join(f"{p / whole:5.0%}" for p in parts)
    )


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def main() -> None:
    """Measure the workloads asked for."""
    parser = argparse.ArgumentParser(description="Compiled steps beside what the machine can do.")
    parser.add_argument("workloads", nargs="*", default=[*WANTED], metavar="WORKLOAD")
    parser.add_argument("--optimizer", default="adam")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a worker does
    machine = peaks()
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {dtype}" for dtype, rate in machine.operations.items())
    print(f"peaks of one thread: {rates}, {machine.bytes / 1e9:.0f} GB/s")
    print(f"{'':22} {'':5} {'ms a step':>10} {'':9} {'of':>7} {'':7} {'of':>7} {'x the':>7}   of which")
    print(
        f"{'workload':22} {'lanes':>5} {'of a lane':>10} {'GFLOP/s':>9} {'peak':>7} {'GB/s':>7} {'peak':>7} "
        "  floor   batch  products  loops"
    )
    data_dir = read_settings().data_dir
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.workloads:
            case = Case(workload=name, optimizer=asked.optimizer, data_dir=data_dir, programs=Path(folder) / name)
            print(measure(case, registry.load_workload(name).lanes, machine), flush=True)


if __name__ == "__main__":
    main()
