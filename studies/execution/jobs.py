"""The messages between driver and workers: jobs, probes and their results."""

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
    """Return the task of a pack, without pruning, which depends on the study's rows.

    Args:
        spec: The study.
        workload: The workload of all runs.
        arm: The arm of all runs.
        lanes: The runs, in lane order.
        stage: The stage of all runs; search runs may be shorter, and only confirm runs measure test data.
    """
    return Task(
        workload=workload.workload,
        options=workload.options,
        steps=workload.length(stage),
        steps_per_epoch=workload.steps_per_epoch,
        test=stage is Stage.CONFIRM,
        schedules={name: Schedule(**dict(schedule)) for name, schedule in arm.schedule.items()},
        lanes=tuple(lanes),
        precision=spec.protocol.precision,
    )


class FailureKind(StrEnum):
    """Why a pack failed."""

    #: Its worker died; a retry may help.
    LOST = "lost"
    #: It did not fit into memory; a smaller one may.
    MEMORY = "memory"
    #: Anything else; a retry does not help.
    FAULT = "fault"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A pack for a worker to train.

    Args:
        number: The pack's number.
        optimizer: The registered optimizer's name.
        task: What to train.
        threads: Threads of the training process; results depend on it.
        mode: How the step runs; results depend on it.
        width: Lanes of a compiled step; None for as many as runs.
        data_dir: The data directory.
        programs: Folder of compiled steps.
        checkpoints: Stores checkpoints.
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
    """The result of a trained pack.

    Args:
        measurements: In lane order, without parameters.
        parameters: Every lane's final parameters by name, as `torch.save` writes them.
        mode: How the step ran; eager also if it could not be compiled.
        seconds: Wall-clock seconds of training, without work that was lost and repeated.
        host: Machine and device.
    """

    measurements: tuple[Measurement, ...]
    parameters: tuple[bytes, ...]
    mode: Mode
    seconds: float
    host: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A request to a worker to measure speeds.

    Args:
        number: Counts down from -1, since packs count up from 0.
        optimizer: The registered optimizer's name.
        task: What to train; one lane with any setting.
        start_lanes: Number of lanes to start at.
        min_lanes: Least number of lanes to measure.
        max_lanes: Largest number of lanes to measure.
        lane_steps: Steps to train, summed over all runs.
        threads: Threads of the training process.
        data_dir: The data directory.
        programs: Folder of compiled steps.
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
        programs: Folder of compiled steps.
        hardware: A description of the training hardware; speeds measured on other hardware are not used.
        workers: Number of packs that train at the same time.
        gpus: GPUs of each pack; 0 for training on CPUs.
    """

    data_dir: Path
    programs: Path
    hardware: str
    workers: int = 1
    gpus: float = 0.0
