"""What a pack trains, from a study's spec."""

from collections.abc import Sequence

from studies.schedule import Schedule
from studies.spec import ArmSpec, WorkloadSpec
from studies.task import LaneTask, Task


def task_of(workload: WorkloadSpec, arm: ArmSpec, lanes: Sequence[LaneTask], *, test: bool) -> Task:
    """Return the task of a pack.

    Args:
        workload: Of all its runs.
        arm: Likewise.
        lanes: The runs, in lane order.
        test: Whether test data are measured.
    """
    return Task(
        workload=workload.workload,
        options=workload.options,
        steps=workload.steps,
        steps_per_epoch=workload.steps_per_epoch,
        test=test,
        schedules={name: Schedule(**dict(each)) for name, each in arm.schedule.items()},
        lanes=tuple(lanes),
    )
