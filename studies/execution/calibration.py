"""Measuring how fast packs of several sizes train, eagerly and compiled, as far as knowing it pays for itself."""

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
from studies.training.initial_state import InitialState, build_initial_state
from studies.training.lanes import EagerStepper, Stepper
from studies.workloads.datasets.download import download_files

log = logging.getLogger(__name__)
#: A measurement takes at least so many steps after the first, and about so many seconds.
MIN_STEPS, MIN_SECONDS = 5, 0.5
#: Another size of pack is tried while a gain of this fraction would repay what it takes to try.
MIN_GAIN = 0.1
#: Seconds that each operation of a step adds to `MIN_COMPILE_SECONDS` it; benchmarks/throughput.py measures both.
COMPILE_SECONDS_PER_OPERATION = 0.012


def calibrate(probe: Probe, device: str) -> tuple[Speed, ...]:
    """Return the speeds that were worth measuring; at least one.

    Eager packs first; then compiled ones, where what they are expected to save is more than compiling costs. From the
    lanes to start with, packs are doubled while that helps, or else halved.

    Args:
        probe: What to measure.
        device: Where, as torch names it.

    Raises:
        OutOfMemoryError: Where the first pack did not fit into memory.
    """
    torch.set_num_threads(probe.threads)
    set_matmul_precision(probe.task.precision)
    download_files(registry.load_workload(probe.task.workload).files(probe.task.options), probe.data_dir)

    def left(speed: Speed) -> float:
        return probe.lane_steps * speed.lane_seconds

    def eagerly(lanes: int) -> Speed:
        start = _initial_state(probe, lanes, device)
        return Speed(lanes=lanes, mode=Mode.EAGER, seconds=_step_seconds(start, EagerStepper(start.step, start.lanes)))

    eager = _search_lane_counts(probe, eagerly, lambda speed: MIN_GAIN * left(speed) > MIN_SECONDS, device)
    save = expected_saving(eager) * left(fastest(eager))
    if save < MIN_COMPILE_SECONDS:
        return eager

    def compiled(lanes: int) -> Speed | None:
        file = program_file(probe.programs, probe.optimizer, probe.task, lanes, probe.threads, device)
        start = _initial_state(probe, lanes, device)
        made = 0.0
        if not file.exists():
            started = time.monotonic()
            graph = trace_step(start.step, clone_lanes(start.lanes), *start.batches(), start.hyperparameters_at(0))
            if save < MIN_COMPILE_SECONDS + COMPILE_SECONDS_PER_OPERATION * len(graph.graph.nodes):
                return None
            save_program(graph, file)
            made = time.monotonic() - started
        seconds = _step_seconds(start, CompiledStepper(start.step, start.lanes, file))
        return Speed(lanes=lanes, mode=Mode.COMPILED, seconds=seconds, compile_seconds=made)

    try:
        return eager + _search_lane_counts(
            probe,
            compiled,
            lambda speed: MIN_GAIN * left(speed) > max(speed.compile_seconds, MIN_COMPILE_SECONDS),
            device,
        )
    except CompilationError as error:
        log.warning("%s; %s trains eagerly", error, probe.task.workload)
        return eager


def expected_saving(eager: Sequence[Speed]) -> float:
    """Return the share of the fastest eager pack's time that a compiled step is expected to save.

    What a step takes with no lanes at all, by the smallest and the largest pack that were measured, is dispatch: a
    compiled step has next to none.

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
    lane = (large.seconds - small.seconds) / (large.lanes - small.lanes)
    dispatch = small.seconds - small.lanes * max(lane, 0.0)
    return min(1.0, max(MIN_SAVED_SHARE, dispatch / fastest(eager).seconds))


def _search_lane_counts(
    probe: Probe, measure: Callable[[int], Speed | None], worthwhile: Callable[[Speed], bool], device: str
) -> tuple[Speed, ...]:
    """Return what was measured at the lanes to start with and, as far as it helps and is worthwhile, at others."""
    first = _measure(probe, measure, min(probe.start_lanes, probe.max_lanes), device)
    if first is None:
        return ()
    found = [first]
    for factor in (2.0, 0.5):
        before = first
        while worthwhile(before):
            lanes = int(before.lanes * factor)
            if not probe.min_lanes <= lanes <= probe.max_lanes:
                break
            try:
                following = _measure(probe, measure, lanes, device)
            except OutOfMemoryError as error:
                log.info("no larger packs: %s", error)
                break
            if following is None:
                break
            found.append(following)
            if following.lane_seconds > before.lane_seconds:
                break
            before = following
        if len(found) > 1 and fastest(found) is not first:
            break  # it helped to go this way
    return tuple(found)


def _measure(probe: Probe, measure: Callable[[int], Speed | None], lanes: int, device: str) -> Speed | None:
    with raise_out_of_memory(lanes, probe.task.workload, device):
        return measure(lanes)


def _initial_state(probe: Probe, lanes: int, device: str) -> InitialState:
    one = probe.task.lanes[0]
    task = replace(probe.task, lanes=tuple(replace(one, seed=one.seed + lane) for lane in range(lanes)))
    workload, optimizer = registry.load_workload(task.workload), registry.load_optimizer(probe.optimizer)
    return build_initial_state(task, workload, optimizer, probe.data_dir, device=device)


def _step_seconds(start: InitialState, stepper: Stepper) -> float:
    """Return the seconds of a step, its batch included: the least of several, as other work only adds to them."""
    taken: list[float] = []
    while len(taken) < 1 + MIN_STEPS or sum(taken[1:]) < MIN_SECONDS:
        started = time.perf_counter()
        losses, _ = stepper.advance(*start.batches(), start.hyperparameters_at(0))
        losses.tolist()  # waits for the device
        taken.append(time.perf_counter() - started)
    return min(taken[1:])
