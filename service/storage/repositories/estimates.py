"""What a study is estimated to take, by the speeds that are in the database, or else by a guess that says so."""

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
    """Return what a study is estimated to take.

    Args:
        store: The database.
        spec: The study.
        catalogue: What can be trained, and on what.
    """
    with store.reading() as connection:
        measured_subjects = {
            name: read_workload_speeds(connection, name) for name in {each.workload for each in spec.workloads}
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
    assert entry is not None  # the study was checked against the catalogue
    lanes = workload.lanes or entry.lanes
    if catalogue.machines is not None:
        measured = _matching_speeds(spec, workload, arm, catalogue.machines, measured_subjects)
        if measured:
            return ArmSpeeds(speeds=measured, basis=Basis.MEASURED, source="measured on this machine")
        on_this_hardware = [each for each in measured_subjects if each.subject.hardware == catalogue.machines.hardware]
        similar = [
            each for each in on_this_hardware if dict(each.subject.options) == workload.options
        ] or on_this_hardware
        if similar:
            suffix = "" if similar is not on_this_hardware else " with other options"
            source = f"the median of what was measured of {workload.workload}{suffix} on this machine"
            return _guess(lanes, median(fastest(each.speeds).lane_seconds for each in similar), source)
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
        for each in measured_subjects
        if each.subject.key == key
        for speed in each.speeds
        if workload.lanes is None or speed.lanes == workload.lanes
    )


def _guess(lanes: int, lane_seconds: float, source: str) -> ArmSpeeds:
    speed = Speed(lanes=lanes, mode=Mode.EAGER, seconds=lanes * lane_seconds)
    return ArmSpeeds(speeds=(speed,), basis=Basis.GUESS, source=source)
