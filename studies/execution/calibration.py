"""Measurement of the speeds of packs of several sizes, eager and compiled, in a worker."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from studies import registry
from studies.errors import CompilationError, OutOfMemoryError
from studies.execution.jobs import Probe
from studies.planning.throughput import MIN_COMPILE_SECONDS, MIN_SAVED_SHARE, Speed, fastest
from studies.records.rows import Mode
from studies.training.compilation.compiled_step import CompiledStepper, clone_lanes, save_program, trace_step
from studies.training.compilation.program_cache import program_file
from studies.training.device import raise_out_of_memory, set_matmul_precision
from studies.training.gpu_check import require_gpu
from studies.training.initial_state import InitialState, build_initial_state
from studies.training.lanes import EagerStepper, Stepper
from studies.workloads.datasets.download import download_files

log = logging.getLogger(__name__)
#: Least number of steps after the first, and about the least seconds, of a measurement.
MIN_STEPS, MIN_SECONDS = 5, 0.5
#: Another pack size is measured while a gain of this fraction would repay the measurement.
MIN_GAIN = 0.1
#: Compile seconds of each operation of a step, in addition to `MIN_COMPILE_SECONDS`; see benchmarks/throughput.py.
COMPILE_SECONDS_PER_OPERATION = 0.012


def calibrate(probe: Probe, device: str) -> tuple[Speed, ...]:
    """Return the speeds that are worth measuring; at least one.

    Eager packs are measured first, then compiled ones if the expected saving exceeds the cost of compiling. The number
    of lanes is doubled from its start while that helps, or else halved.

    Args:
        probe: What to measure.
        device: The torch device.

    Raises:
        OutOfMemoryError: The first pack did not fit into memory.
        UnusableGpuError: The device is a GPU that torch cannot use, on a machine that did not check it on joining.
    """
    if device == "cuda":
        require_gpu()
    torch.set_num_threads(probe.threads)
    set_matmul_precision(probe.task.precision)
    download_files(registry.load_workload(probe.task.workload).files(probe.task.options), probe.data_dir)

    def training_seconds(speed: Speed) -> float:
        return probe.lane_steps * speed.lane_seconds

    def measure_eager(lanes: int) -> Speed:
        start = _initial_state(probe, lanes, device)
        return Speed(lanes=lanes, mode=Mode.EAGER, seconds=_step_seconds(start, EagerStepper(start.step, start.lanes)))

    eager = _search_lane_counts(
        probe, measure_eager, lambda speed: MIN_GAIN * training_seconds(speed) > MIN_SECONDS, device
    )
    saved_seconds = expected_saving(eager) * training_seconds(fastest(eager))
    if saved_seconds < MIN_COMPILE_SECONDS:
        return eager

    def measure_compiled(lanes: int) -> Speed | None:
        file = program_file(probe.programs, probe.optimizer, probe.task, lanes, probe.threads, device)
        start = _initial_state(probe, lanes, device)
        compile_seconds = 0.0
        if not file.exists():
            started = time.monotonic()
            graph = trace_step(start.step, clone_lanes(start.lanes), *start.batches(), start.hyperparameters_at(0))
            if saved_seconds < MIN_COMPILE_SECONDS + COMPILE_SECONDS_PER_OPERATION * len(graph.graph.nodes):
                return None
            save_program(graph, file)
            compile_seconds = time.monotonic() - started
        seconds = _step_seconds(start, CompiledStepper(start.step, start.lanes, file))
        return Speed(lanes=lanes, mode=Mode.COMPILED, seconds=seconds, compile_seconds=compile_seconds)

    try:
        return eager + _search_lane_counts(
            probe,
            measure_compiled,
            lambda speed: MIN_GAIN * training_seconds(speed) > max(speed.compile_seconds, MIN_COMPILE_SECONDS),
            device,
        )
    except CompilationError as error:
        log.warning("%s; %s trains eagerly", error, probe.task.workload)
        return eager


def expected_saving(eager: Sequence[Speed]) -> float:
    """Return the share of the fastest eager pack's time that a compiled step is expected to save.

    Dispatch is the time of a step with zero lanes, extrapolated from the smallest and the largest measured pack; a
    compiled step has almost none.

    Args:
        eager: At least one measurement.

    Example:
        >>> speeds = [Speed(lanes=lanes, mode=Mode.EAGER, seconds=1.0 + 0.1 * lanes) for lanes in (2, 4)]
        >>> round(expected_saving(speeds), 2)
        0.71
    """
    small, large = min(eager, key=lambda speed: speed.lanes), max(eager, key=lambda speed: speed.lanes)
    if small.lanes == large.lanes:
        return MIN_SAVED_SHARE
    per_lane = (large.seconds - small.seconds) / (large.lanes - small.lanes)
    dispatch = small.seconds - small.lanes * max(per_lane, 0.0)
    return min(1.0, max(MIN_SAVED_SHARE, dispatch / fastest(eager).seconds))


def _search_lane_counts(
    probe: Probe, measure: Callable[[int], Speed | None], worthwhile: Callable[[Speed], bool], device: str
) -> tuple[Speed, ...]:
    """Return speeds at the initial lane count and at larger or smaller ones, while these help and are worthwhile."""
    first = _measure(probe, measure, min(probe.start_lanes, probe.max_lanes), device)
    if first is None:
        return ()
    speeds = [first]
    for factor in (2.0, 0.5):
        previous = first
        while worthwhile(previous):
            lanes = int(previous.lanes * factor)
            if not probe.min_lanes <= lanes <= probe.max_lanes:
                break
            try:
                speed = _measure(probe, measure, lanes, device)
            except OutOfMemoryError as error:
                log.info("no larger packs: %s", error)
                break
            if speed is None:
                break
            speeds.append(speed)
            if speed.lane_seconds > previous.lane_seconds:
                break
            previous = speed
        if len(speeds) > 1 and fastest(speeds) is not first:
            break  # this direction helped
    return tuple(speeds)


def _measure(probe: Probe, measure: Callable[[int], Speed | None], lanes: int, device: str) -> Speed | None:
    with raise_out_of_memory(lanes, probe.task.workload, device):
        return measure(lanes)


def _initial_state(probe: Probe, lanes: int, device: str) -> InitialState:
    first = probe.task.lanes[0]
    task = replace(probe.task, lanes=tuple(replace(first, seed=first.seed + lane) for lane in range(lanes)))
    workload, optimizer = registry.load_workload(task.workload), registry.load_optimizer(probe.optimizer)
    return build_initial_state(task, workload, optimizer, probe.data_dir, device=device)


def _step_seconds(start: InitialState, stepper: Stepper) -> float:
    """Return the seconds of a step including its batch: the minimum of several, since other load only adds time."""
    durations: list[float] = []
    while len(durations) < 1 + MIN_STEPS or sum(durations[1:]) < MIN_SECONDS:
        started = time.perf_counter()
        losses, _ = stepper.advance(*start.batches(), start.hyperparameters_at(0))
        losses.tolist()  # waits for the device
        durations.append(time.perf_counter() - started)
    return min(durations[1:])
