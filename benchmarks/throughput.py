"""Training throughput of every workload: our packs beside a plain PyTorch loop, with one process a core.

Usage: python benchmarks/throughput.py [--rounds N] [--optimizer NAME] [--picture FILE] [NAME...]

The peers train one run in each process with torch.optim, with the data in memory, eagerly and with `torch.compile` of
the model. Ours train packs as a study does, with the number of lanes and the mode that `studies.execution.calibration`
selects for a long study. The contestants take turns, each with all its processes at once.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from rate_chart import RelativeRates, draw_chart
from torch import nn

from service.settings import read_settings
from studies import registry
from studies.execution.calibration import calibrate
from studies.execution.jobs import Probe
from studies.planning.throughput import Speed, fastest
from studies.records.rows import Mode
from studies.seeds import seeded_generator
from studies.training.compilation.compiled_step import CompiledStepper
from studies.training.compilation.program_cache import program_file
from studies.training.device import keep_freed_memory
from studies.training.initial_state import build_initial_state
from studies.training.lanes import EagerStepper
from studies.training.task import LaneTask, Task

#: The required ratio to the eager peer's rate on two cores, and the goal.
REQUIRED_RATIOS = {
    "linear_regression": (6.0, 10.0),
    "mnist_mlp": (1.8, 3.0),
    "dnc_repeat_copy": (5.0, 10.0),
    "fashion_mnist_convnet": (1.05, 1.3),
    "cifar10_resnet32": (1.0, 1.2),
}
#: Torch's counterparts of our optimizers.
PEERS: dict[str, Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]] = {
    "adam": lambda params: torch.optim.Adam(params, lr=1e-3),
    "momentum": lambda params: torch.optim.SGD(params, lr=1e-4, momentum=0.9),
}
#: Seconds of a turn, and its least number of steps.
TURN_SECONDS, MIN_STEPS = 2.0, 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A benchmarked training.

    Args:
        workload: The registered workload's name.
        optimizer: The registered optimizer's name.
        data_dir: Directory of the data sets.
        programs: Directory of the compiled steps.
    """

    workload: str
    optimizer: str
    data_dir: Path
    programs: Path

    def task(self, lanes: int) -> Task:
        """Return a task with this many lanes at the optimizer's defaults."""
        setting = {item.name: item.default for item in registry.load_optimizer(self.optimizer).hyperparameters}
        return Task(
            workload=self.workload,
            options=self.options,
            steps=1000,
            steps_per_epoch=1000,
            test=False,
            lanes=tuple(LaneTask(setting=setting | {"lr": 1e-4}, seed=seed) for seed in range(lanes)),
        )

    @property
    def options(self) -> dict[str, float | int | str]:
        """The workload's defaults, with few training examples if possible; their number does not affect a step."""
        defaults = {option.name: option.default for option in registry.load_workload(self.workload).options}
        return defaults | ({"train_examples": 10_000} if "train_examples" in defaults else {})


def peer_step(case: Case, *, compiled: bool) -> Callable[[], object]:
    """Return a step of one run in a plain PyTorch loop."""
    workload, options = registry.load_workload(case.workload), case.options
    train = workload.data(options, case.data_dir, seeded_generator(case.workload, 0, "problem")).train
    module = workload.model(options).to(workload.dtype)
    workload.initialise(module, seeded_generator(case.workload, 0, "init"))
    optimizer = PEERS[case.optimizer](list(module.parameters()))
    forward = torch.compile(module) if compiled else module
    size, order_generator, noise_generator = (
        int(options.get("batch_size", 0)),
        seeded_generator("order", 0, "peer"),
        seeded_generator("noise", 0, "peer"),
    )
    params = tuple(module.parameters())

    def step() -> None:
        inputs, targets = train
        if size:
            indices = torch.randint(len(inputs), (size,), generator=order_generator)
            inputs, targets = inputs[indices], targets[indices]
        if workload.augment is not None:
            inputs = workload.augment(inputs, noise_generator)
        noise = () if workload.noise is None else (workload.noise(options, noise_generator),)
        optimizer.zero_grad()
        loss = workload.loss(forward(inputs, *noise), targets)
        if workload.penalty is not None:
            loss = loss + workload.penalty(params)
        loss.backward()
        optimizer.step()

    return step


def our_step(case: Case, speed: Speed) -> Callable[[], object]:
    """Return a step of a pack."""
    task = case.task(speed.lanes)
    workload, optimizer = registry.load_workload(case.workload), registry.load_optimizer(case.optimizer)
    start = build_initial_state(task, workload, optimizer, case.data_dir, device="cpu")
    file = program_file(case.programs, case.optimizer, task, speed.lanes, 1, "cpu")
    compiled = speed.mode is Mode.COMPILED
    stepper = CompiledStepper(start.step, start.lanes, file) if compiled else EagerStepper(start.step, start.lanes)
    return lambda: stepper.advance(*start.batches(), start.hyperparameters_at(0))


def contestant(pipe: Connection, case: Case, name: str, speed: Speed) -> None:
    """Train in its own process for a turn whenever the pipe receives True."""
    torch.set_num_threads(1)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(case.programs / "peers")
    ours = name == "ours"
    os.environ.pop("THP_MEM_ALLOC_ENABLE", None)  # set by the parent process
    if ours:
        keep_freed_memory()  # as a worker does
    step = our_step(case, speed) if ours else peer_step(case, compiled=name == "compiled")
    started = time.perf_counter()
    step()
    pipe.send(time.perf_counter() - started)
    while pipe.recv():
        started, steps = time.perf_counter(), 0
        while steps < MIN_STEPS or time.perf_counter() - started < TURN_SECONDS:
            step()
            steps += 1
        pipe.send(steps * (speed.lanes if ours else 1) / (time.perf_counter() - started))


def measure(case: Case, rounds: int, cores: int) -> RelativeRates:
    """Print a workload's rates, and return the relative ones."""
    probe = Probe(
        number=-1,
        optimizer=case.optimizer,
        task=case.task(1),
        start_lanes=registry.load_workload(case.workload).lanes,
        min_lanes=1,
        max_lanes=64,
        lane_steps=10**9,
        threads=1,
        data_dir=case.data_dir,
        programs=case.programs,
    )
    torch.set_num_threads(1)
    keep_freed_memory()
    speeds = calibrate(probe, "cpu")
    best = fastest(speeds)
    for speed in speeds:
        compilation = f", compiled in {speed.compile_seconds:.1f} s" if speed.compile_seconds else ""
        print(
            f"    {speed.lanes:3} lanes {speed.mode:9} {1e3 * speed.lane_seconds:9.3f} ms a step of a lane{compilation}"
        )
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, list[Connection]] = {}
    first: dict[str, list[float]] = {}
    for name in ("eager", "compiled", "ours"):
        pipes[name], first[name] = [], []
        for _ in range(cores):  # in turn, so that the first process compiles for all
            pipe, child_pipe = context.Pipe()
            context.Process(target=contestant, args=(child_pipe, case, name, best), daemon=True).start()
            first[name].append(pipe.recv())
            pipes[name].append(pipe)
    rates: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(rounds):
        for name, group in pipes.items():
            for pipe in group:
                pipe.send(True)
            rates[name].append(sum(pipe.recv() for pipe in group))
    for group in pipes.values():
        for pipe in group:
            pipe.send(False)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(
        f"    compiled peer: first step {first['compiled'][0]:.1f} s, in the next process {first['compiled'][-1]:.1f} s"
    )
    print(f"    ours: first step in a new process {first['ours'][-1]:.1f} s")
    least, goal = REQUIRED_RATIOS.get(case.workload, (0.0, 0.0))
    against_eager = [ours / peer for ours, peer in zip(rates["ours"], rates["eager"], strict=True)]
    against_compiled = [ours / peer for ours, peer in zip(rates["ours"], rates["compiled"], strict=True)]
    label = f"{best.lanes} {'lane' if best.lanes == 1 else 'lanes'} {best.mode}"
    print(
        f"{case.workload:22} {medians['eager']:9.1f} {medians['compiled']:9.1f} {medians['ours']:9.1f} "
        f"{statistics.median(against_eager):7.2f} {statistics.median(against_compiled):7.2f} "
        f"  {least:4.2f} / {goal:4.1f}   {label}",
        flush=True,
    )
    return RelativeRates(
        workload=case.workload,
        compiled=statistics.median(p / e for p, e in zip(rates["compiled"], rates["eager"], strict=True)),
        ours=statistics.median(against_eager),
        required=least,
        label=label,
    )


def main() -> None:
    """Measure the requested workloads."""
    parser = argparse.ArgumentParser(description="Steps of runs a second beside PyTorch's own loop.")
    parser.add_argument("workloads", nargs="*", default=[*REQUIRED_RATIOS], metavar="WORKLOAD")
    parser.add_argument("--optimizer", choices=[*PEERS], default="adam")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--picture", type=Path, help="an SVG file to draw the ratios into")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(
        f"{options.optimizer}, {cores} processes of one thread, steps of runs a second, "
        f"medians of {options.rounds} rounds"
    )
    print(f"{'workload':22} {'eager':>9} {'compiled':>9} {'ours':>9} {'/ eager':>7} {'/ comp.':>7}   least / goal")
    data_dir = read_settings().data_dir
    with tempfile.TemporaryDirectory() as folder:
        rows: list[RelativeRates] = []
        for name in options.workloads:
            case = Case(workload=name, optimizer=options.optimizer, data_dir=data_dir, programs=Path(folder) / name)
            rows.append(measure(case, options.rounds, cores))
    if options.picture is not None:
        draw_chart(rows, options.picture)


if __name__ == "__main__":
    main()
