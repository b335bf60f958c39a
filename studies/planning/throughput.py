"""How fast steps of packs were measured to be, and which packs train soonest by that."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from studies.records.rows import Mode
from studies.spec.parameters import Precision
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

#: Seconds to compile a step, at least; benchmarks/throughput.py measures them.
COMPILING = 6.0
#: Share of the eager time that a compiled step is expected to save at least; measured on every workload likewise.
SAVED = 0.25


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What speeds are measured of.

    Args:
        workload: The registered workload's name.
        options: Its options, complete.
        optimizer: The registered optimizer's name.
        precision: What products are computed in.
        hardware: What is trained on.
        code: A digest of the program and of what it is built on.
    """

    workload: str
    options: Mapping[str, float | int | str]
    optimizer: str
    precision: Precision
    hardware: str
    code: str

    @property
    def key(self) -> str:
        """Text that is the same for the same subject."""
        options = sorted(self.options.items())
        return json.dumps([self.workload, options, self.optimizer, self.precision, self.hardware, self.code])

    @classmethod
    def of_key(cls, key: str) -> Self:
        """Return the subject that has a key.

        Args:
            key: A subject's.
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
    """One measurement.

    Args:
        lanes: Lanes of the pack.
        mode: How its step ran.
        seconds: Wall-clock seconds of a step of all lanes, the least of several.
        making: Seconds that it took to have the step compiled; 0 where it was not or had been before.
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
    """Return the measurement whose lanes take the least time each.

    Args:
        speeds: At least one.
    """
    return min(speeds, key=lambda speed: speed.lane_seconds)


def enough(speeds: Sequence[Speed], lane_steps: int) -> bool:
    """Say whether nothing more needs to be measured: known is a compiled step, or eager ones are soon done.

    Args:
        speeds: What is known; nothing perhaps.
        lane_steps: Steps of one lane that are to be trained in all.
    """
    if any(speed.mode is Mode.COMPILED for speed in speeds):
        return True
    return bool(speeds) and SAVED * lane_steps * fastest(speeds).lane_seconds < COMPILING


def fitting(speeds: Sequence[Speed], runs: int) -> Speed:
    """Return the measurement by whose packs so many runs are trained soonest, one pack after another.

    A compiled step takes as long with dead lanes as without; an eager one is made for as many lanes as there are runs.

    Args:
        speeds: At least one.
        runs: How many runs are to be trained.
    """

    def seconds(speed: Speed) -> float:
        if speed.mode is Mode.EAGER:
            return runs * speed.lane_seconds
        return -(-runs // speed.lanes) * speed.seconds

    return min(speeds, key=seconds)


def narrowed(speed: Speed, runs: int, steps: int) -> Speed:
    """Return a compiled step's speed for packs halved as often as all runs still fit, where compiling it pays.

    What a lane takes is taken to stay the same, and what compiling takes too; where that is not known, nothing changes.

    Args:
        speed: A measurement.
        runs: How many runs are to be trained.
        steps: Steps of each.

    Example:
        >>> dnc = Speed(lanes=8, mode=Mode.COMPILED, seconds=0.01, compile_seconds=80)
        >>> narrowed(dnc, 3, 100_000).lanes, narrowed(dnc, 3, 10_000).lanes
        (4, 8)
    """
    lanes = speed.lanes
    while lanes % 2 == 0 and lanes // 2 >= runs:
        lanes //= 2
    saved = steps * (speed.lanes - lanes) * speed.lane_seconds
    if not speed.compile_seconds or saved < max(speed.compile_seconds, COMPILING):
        return speed
    return replace(speed, lanes=lanes, seconds=lanes * speed.lane_seconds)


def subject_of(spec: StudySpec, workload: WorkloadSpec, arm: ArmSpec, *, hardware: str, code: str) -> Subject:
    """Return what the speeds of an arm on a workload are measured of.

    Args:
        spec: The study.
        workload: The workload.
        arm: The arm.
        hardware: What is trained on.
        code: A digest of the program and of what it is built on.
    """
    return Subject(
        workload=workload.workload,
        options=workload.options,
        optimizer=arm.optimizer,
        precision=spec.protocol.precision,
        hardware=hardware,
        code=code,
    )
