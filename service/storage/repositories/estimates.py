"""Cost estimates of studies, from measured speeds in the database, or else marked as a guess."""

from collections.abc import Sequence
from statistics import median

from service.storage.repositories.studies import Store
from service.storage.repositories.throughput import MeasuredSubject, read_workload_speeds
from studies.planning.estimate import ArmSpeeds, Basis, Estimate, estimate
from studies.planning.throughput import Speed, fastest, subject_of
from studies.records.rows import Mode
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.validation.catalogue import Catalogue, Machines


def estimate_study(store: Store, spec: StudySpec, catalogue: Catalogue) -> Estimate:
    """Estimate the cost of a study.

    Args:
        store: The database.
        spec: The study.
        catalogue: The workloads and optimizers that can be trained, and the machines.
    """
    with store.reading() as connection:
        measured_subjects = {
            name: read_workload_speeds(connection, name) for name in {workload.workload for workload in spec.workloads}
        }
    arm_speeds = {
        (workload.name, arm.name): _known_speeds(spec, workload, arm, catalogue, measured_subjects[workload.workload])
        for workload in spec.workloads
        for arm in spec.arms
    }
    machines = catalogue.machines
    if machines is None:
        return estimate(spec, arm_speeds)
    return estimate(spec, arm_speeds, workers=machines.workers, gpus=machines.gpus)


def _known_speeds(
    spec: StudySpec,
    workload: WorkloadSpec,
    arm: ArmSpec,
    catalogue: Catalogue,
    measured_subjects: Sequence[MeasuredSubject],
) -> ArmSpeeds:
    entry = catalogue.workload(workload.workload)
    assert entry is not None  # the spec was validated against the catalogue
    lanes = workload.lanes or entry.lanes
    if catalogue.machines is not None:
        speeds = _matching_speeds(spec, workload, arm, catalogue.machines, measured_subjects)
        if speeds:
            return ArmSpeeds(speeds=speeds, basis=Basis.MEASURED, source="measured on this machine")
        on_this_hardware = [
            measured for measured in measured_subjects if measured.subject.hardware == catalogue.machines.hardware
        ]
        similar = [
            measured for measured in on_this_hardware if dict(measured.subject.options) == workload.options
        ] or on_this_hardware
        if similar:
            suffix = "" if similar is not on_this_hardware else " with other options"
            source = f"the median of what was measured of {workload.workload}{suffix} on this machine"
            return _guess(lanes, median(fastest(measured.speeds).lane_seconds for measured in similar), source)
    source = f"what the catalogue says of {workload.workload}, on a processor's core with its default options"
    return _guess(lanes, entry.step_seconds, source)


def _matching_speeds(
    spec: StudySpec,
    workload: WorkloadSpec,
    arm: ArmSpec,
    machines: Machines,
    measured_subjects: Sequence[MeasuredSubject],
) -> tuple[Speed, ...]:
    key = subject_of(spec, workload, arm, hardware=machines.hardware, code=machines.code).key
    return tuple(
        speed
        for measured in measured_subjects
        if measured.subject.key == key
        for speed in measured.speeds
        if workload.lanes is None or speed.lanes == workload.lanes
    )


def _guess(lanes: int, lane_seconds: float, source: str) -> ArmSpeeds:
    speed = Speed(lanes=lanes, mode=Mode.EAGER, seconds=lanes * lane_seconds)
    return ArmSpeeds(speeds=(speed,), basis=Basis.GUESS, source=source)
