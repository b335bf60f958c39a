"""What a pack trains, from a study's spec."""

from collections.abc import Sequence

from studies.rows import Stage
from studies.schedule import Schedule
from studies.spec import ArmSpec, StudySpec, WorkloadSpec
from studies.task import LaneTask, Task


def task_of(spec: StudySpec, workload: WorkloadSpec, arm: ArmSpec, lanes: Sequence[LaneTask], stage: Stage) -> Task:
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
