"""Of what the speeds of a study's packs are measured: arms that train alike have one subject."""

from studies.spec import ArmSpec, StudySpec, WorkloadSpec
from studies.speeds import Subject


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
