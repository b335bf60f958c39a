"""Roofline of compiled steps: their operations and bytes a second beside the machine's measured peaks.

Usage: python benchmarks/roofline.py [--optimizer NAME] [WORKLOAD...]

Uses one process of one thread on the CPU. Operations are those of matrix products and convolutions; bytes are the least
that a step must move: parameters and optimizer state read and written, gradients written and read, the batch read. The
peaks are those of a large matrix product, by the faster of MKL and oneDNN, and of a large copy. The parts of a step are
its batch, the libraries' products, and the compiled loops.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from throughput import REQUIRED_RATIOS, Case
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

#: Seconds of a measurement, and its least number of repetitions.
SECONDS, MIN_REPETITIONS = 2.0, 5


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Peak rates of the machine with one thread.

    Args:
        operations: Operations a second of matrix products, by dtype.
        bytes: Bytes a second that a copy reads and writes.
    """

    operations: dict[torch.dtype, float]
    bytes: float


def seconds(function: Callable[[], object]) -> float:
    """Return the median seconds of a call."""
    function()
    taken: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(taken) < MIN_REPETITIONS or time.perf_counter() < until:
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def peaks() -> Peaks:
    """Measure the machine's peaks."""
    operations: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.float64):
        matrix = torch.randn(1024, 1024, dtype=dtype)
        result = torch.empty_like(matrix)
        taken = seconds(lambda a=matrix, out=result: torch.mm(a, a, out=out))
        if dtype is torch.float32 and torch.backends.mkldnn.is_available():
            taken = min(taken, seconds(lambda a=matrix: torch.ops.mkldnn._linear_pointwise(a, a, None, "none", [], "")))
        operations[dtype] = 2 * 1024**3 / taken
    large = torch.zeros(64 * 2**20)
    copy = torch.empty_like(large)
    return Peaks(operations=operations, bytes=2 * _size(large) / seconds(lambda: copy.copy_(large)))


def step_operations(start: InitialState) -> int:
    """Return the operations of products and convolutions in a step of all lanes."""
    batch = start.batches()
    counter = FlopCounterMode(display=False)
    with counter:
        EagerStepper(start.step, start.lanes).advance(*batch, start.hyperparameters_at(0))
    return counter.get_total_flops()


def step_bytes(start: InitialState) -> int:
    """Return the bytes that a step of all lanes must move."""
    state = sum(_size(leaf) for leaf in tree_leaves((start.lanes.params, start.lanes.buffers, start.lanes.state)))
    gradients = sum(_size(param) for param in start.lanes.params)
    inputs, targets = start.batches()
    return 2 * state + 2 * gradients + sum(_size(tensor) for tensor in (*inputs, targets))


def measure(case: Case, lanes: int, machine: Peaks) -> str:
    """Return a workload's row."""
    workload, optimizer = registry.load_workload(case.workload), registry.load_optimizer(case.optimizer)
    task = case.task(lanes)
    start = build_initial_state(task, workload, optimizer, case.data_dir, device="cpu")
    operations, moved_bytes = step_operations(start), step_bytes(start)
    file = program_file(case.programs, case.optimizer, task, lanes, 1, "cpu")
    stepper = CompiledStepper(start.step, start.lanes, file)
    batch, setting = start.batches(), start.hyperparameters_at(0)
    program, gathered = seconds(lambda: stepper.advance(*batch, setting)), seconds(start.batches)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(MIN_REPETITIONS):
            stepper.advance(*batch, setting)
    products = [event for event in profiled.key_averages() if event.key.startswith(("aten::", "mkldnn"))]
    library = 1e-6 / MIN_REPETITIONS * sum(event.self_cpu_time_total for event in products)
    total = program + gathered
    floor = max(operations / machine.operations[workload.dtype], moved_bytes / machine.bytes)
    parts = gathered, min(library, program), max(program - library, 0.0)
    return (
        f"{case.workload:22} {lanes:5} {1e3 * total / lanes:10.4f} {operations / total / 1e9:9.1f} "
        f"{operations / total / machine.operations[workload.dtype]:7.0%} {moved_bytes / total / 1e9:7.1f} "
        f"{moved_bytes / total / machine.bytes:7.0%} {total / floor:7.1f}   "
        + "  ".join(f"{p / total:5.0%}" for p in parts)
    )


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def main() -> None:
    """Measure the requested workloads."""
    parser = argparse.ArgumentParser(description="Compiled steps beside what the machine can do.")
    parser.add_argument("workloads", nargs="*", default=[*REQUIRED_RATIOS], metavar="WORKLOAD")
    parser.add_argument("--optimizer", default="adam")
    options = parser.parse_args()
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
        for name in options.workloads:
            case = Case(workload=name, optimizer=options.optimizer, data_dir=data_dir, programs=Path(folder) / name)
            print(measure(case, registry.load_workload(name).lanes, machine), flush=True)


if __name__ == "__main__":
    main()
