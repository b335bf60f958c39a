"""Jobs for workers and their results, as they travel between driver and workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from studies.execution.artifacts import CheckpointStore
from studies.records.rows import Mode
from studies.spec.parameters import Stage
from studies.spec.schedule import Schedule
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.training.measurements import Measurement
from studies.training.task import LaneTask, Task


def build_task(spec: StudySpec, workload: WorkloadSpec, arm: ArmSpec, lanes: Sequence[LaneTask], stage: Stage) -> Task:
    """Return the task of a pack; what its runs are judged by is left to a study's rows.

    Args:
        spec: The study.
        workload: Of all its runs.
        arm: Likewise.
        lanes: The runs, in lane order.
        stage: Of all its runs; search runs may be shorter, and only confirm runs measure test data.
    """
    return Task(
        workload=workload.workload,
        options=workload.options,
        steps=workload.length(stage),
        steps_per_epoch=workload.steps_per_epoch,
        test=stage is Stage.CONFIRM,
        schedules={name: Schedule(**dict(each)) for name, each in arm.schedule.items()},
        lanes=tuple(lanes),
        precision=spec.protocol.precision,
    )


class FailureKind(StrEnum):
    """What kept a pack from being trained."""

    #: Its worker died; trying again may help.
    LOST = "lost"
    #: It did not fit into memory; a smaller one may.
    MEMORY = "memory"
    #: Anything else; trying again is of no use.
    FAULT = "fault"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A pack as it travels to a worker.

    Args:
        number: The pack's.
        optimizer: The registered optimizer's name.
        task: What to train.
        threads: Threads of the training process; they are part of the result.
        mode: How the step is to run, likewise.
        width: Lanes that a compiled step is made for; None for as many as runs.
        data_dir: The data directory.
        programs: Where compiled steps are kept.
        checkpoints: Where checkpoints are kept.
    """

    number: int
    optimizer: str
    task: Task
    threads: int
    mode: Mode
    width: int | None
    data_dir: Path
    programs: Path
    checkpoints: CheckpointStore


@dataclass(frozen=True, kw_only=True)
class PackResult:
    """A trained pack as it travels back.

    Args:
        measurements: In lane order, without parameters.
        parameters: Every lane's final parameters by name, as `torch.save` writes them.
        mode: How the step ran: eagerly also where it could not be compiled.
        seconds: Wall-clock seconds of training, without what was lost on the way and done again.
        host: Machine and device.
    """

    measurements: tuple[Measurement, ...]
    parameters: tuple[bytes, ...]
    mode: Mode
    seconds: float
    host: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A request to measure, as it travels to a worker.

    Args:
        number: Of the request, counting down from -1: packs count up from 0.
        optimizer: The registered optimizer's name.
        task: What is to be trained; one lane, its setting any.
        start_lanes: Where to start.
        min_lanes: Fewer lanes than this are not to be tried.
        max_lanes: Nor are more.
        lane_steps: Steps of one lane that are to be trained in all.
        threads: Threads of the training process.
        data_dir: The data directory.
        programs: Where compiled steps are kept.
    """

    number: int
    optimizer: str
    task: Task
    start_lanes: int
    min_lanes: int
    max_lanes: int
    lane_steps: int
    threads: int
    data_dir: Path
    programs: Path


@dataclass(frozen=True, kw_only=True)
class TrainingSite:
    """Where a study is trained.

    Args:
        data_dir: The data directory.
        programs: Where compiled steps are kept.
        hardware: What it is trained on, in words; what was measured on other hardware says nothing about it.
        workers: Packs that are trained at once.
        gpus: GPUs of each of them; 0 where they are trained on processors.
    """

    data_dir: Path
    programs: Path
    hardware: str
    workers: int = 1
    gpus: float = 0.0
