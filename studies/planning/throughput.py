"""Measured speeds of training steps, and the choice of the pack size that trains fastest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from studies.records.rows import Mode
from studies.spec.parameters import Precision
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

#: Least seconds to compile a step; measured by benchmarks/throughput.py.
MIN_COMPILE_SECONDS = 6.0
#: Least share of the eager time that a compiled step is expected to save; measured likewise, on every workload.
MIN_SAVED_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Everything that a measured speed depends on, except for lanes and mode.

    Args:
        workload: The registered workload's name.
        options: Its options, complete.
        optimizer: The registered optimizer's name.
        precision: Of matrix products and convolutions.
        hardware: A description of the training hardware.
        code: A digest of the program and its libraries.
    """

    workload: str
    options: Mapping[str, float | int | str]
    optimizer: str
    precision: Precision
    hardware: str
    code: str

    @property
    def key(self) -> str:
        """Text that identifies the subject."""
        options = sorted(self.options.items())
        return json.dumps([self.workload, options, self.optimizer, self.precision, self.hardware, self.code])

    @classmethod
    def of_key(cls, key: str) -> Self:
        """Return the subject of a key.

        Args:
            key: A subject's key.
        """
        workload, options, optimizer, precision, hardware, code = json.loads(key)
        return cls(
            workload=workload,
            options=dict(options),
            optimizer=optimizer,
            precision=Precision(precision),
            hardware=hardware,
            code=code,
        )


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The measured speed of a pack's step.

    Args:
        lanes: Lanes of the pack.
        mode: How the step ran.
        seconds: Wall-clock seconds of a step of all lanes, the least of several.
        compile_seconds: Seconds to compile the step; 0 for an eager step or one that was compiled earlier.
    """

    lanes: int
    mode: Mode
    seconds: float
    compile_seconds: float = 0.0

    @property
    def lane_seconds(self) -> float:
        """Seconds of a step of one lane."""
        return self.seconds / self.lanes


def fastest(speeds: Sequence[Speed]) -> Speed:
    """Return the speed with the least time per lane.

    Args:
        speeds: At least one.
    """
    return min(speeds, key=lambda speed: speed.lane_seconds)


def is_sufficient(speeds: Sequence[Speed], lane_steps: int) -> bool:
    """Return whether no further measurement is needed: a compiled step was measured, or compiling would not pay.

    Args:
        speeds: Known speeds; may be empty.
        lane_steps: Steps to train, summed over all runs.
    """
    if any(speed.mode is Mode.COMPILED for speed in speeds):
        return True
    return bool(speeds) and MIN_SAVED_SHARE * lane_steps * fastest(speeds).lane_seconds < MIN_COMPILE_SECONDS


def best_fit(speeds: Sequence[Speed], runs: int) -> Speed:
    """Return the speed whose packs train the runs in the least time, one pack after another.

    A compiled step takes as long with dead lanes as without; an eager step has as many lanes as there are runs.

    Args:
        speeds: At least one.
        runs: Number of runs to train.
    """

    def step_seconds(speed: Speed) -> float:
        if speed.mode is Mode.EAGER:
            return runs * speed.lane_seconds
        return -(-runs // speed.lanes) * speed.seconds

    return min(speeds, key=step_seconds)


def shrink_to_runs(speed: Speed, runs: int, steps: int) -> Speed:
    """Return the speed of a compiled step with lanes halved while all runs fit, if compiling it pays.

    The time per lane and the compile time are assumed to stay the same; a speed without compile time is returned as is.

    Args:
        speed: A measured speed.
        runs: Number of runs to train.
        steps: Steps of each run.

    Example:
        >>> dnc = Speed(lanes=8, mode=Mode.COMPILED, seconds=0.01, compile_seconds=80)
        >>> shrink_to_runs(dnc, 3, 100_000).lanes, shrink_to_runs(dnc, 3, 10_000).lanes
        (4, 8)
    """
    lanes = speed.lanes
    while lanes % 2 == 0 and lanes // 2 >= runs:
        lanes //= 2
    saved_seconds = steps * (speed.lanes - lanes) * speed.lane_seconds
    if not speed.compile_seconds or saved_seconds < max(speed.compile_seconds, MIN_COMPILE_SECONDS):
        return speed
    return replace(speed, lanes=lanes, seconds=lanes * speed.lane_seconds)


def subject_of(spec: StudySpec, workload: WorkloadSpec, arm: ArmSpec, *, hardware: str, code: str) -> Subject:
    """Return the subject of the speeds of an arm on a workload.

    Args:
        spec: The study.
        workload: The workload.
        arm: The arm.
        hardware: A description of the training hardware.
        code: A digest of the program and its libraries.
    """
    return Subject(
        workload=workload.workload,
        options=workload.options,
        optimizer=arm.optimizer,
        precision=spec.protocol.precision,
        hardware=hardware,
        code=code,
    )
