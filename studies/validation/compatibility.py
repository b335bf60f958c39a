"""Checks that the spec of an earlier study means the same with the current catalogue."""

from collections.abc import Iterator

from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.validation.catalogue import Catalogue
from studies.validation.faults import Fault, InvalidStudyError, json_pointer
from studies.validation.resolver import resolve


def check_compatibility(spec: StudySpec, catalogue: Catalogue) -> None:
    """Check that a spec means what it meant when it was resolved.

    Args:
        spec: The spec of an earlier study.
        catalogue: The current catalogue.

    Raises:
        InvalidStudyError: The meaning has changed; the faults' pointers are into the spec.
    """
    current = resolve(_definition(spec), catalogue)
    faults: list[Fault] = []
    for i, (old_workload, new_workload) in enumerate(zip(spec.workloads, current.workloads, strict=True)):
        faults += _workload_faults(old_workload, new_workload, json_pointer("workloads", i))
    for i, (old_arm, new_arm) in enumerate(zip(spec.arms, current.arms, strict=True)):
        faults += _arm_faults(old_arm, new_arm, json_pointer("arms", i))
    old, new = spec.protocol.direction, current.protocol.direction
    if old is not new:
        detail = f"{spec.protocol.objective} was to {old}, and is to {new} now"
        faults.append(_change_fault("/protocol/objective", detail))
    if faults:
        raise InvalidStudyError(faults)


def _definition(spec: StudySpec) -> dict[str, object]:
    """Return a definition of the parts of a spec that depend on the catalogue; lengths and seeds do not."""
    protocol = spec.protocol
    return {
        "name": spec.name,
        "workloads": [
            {"name": workload.name, "workload": workload.workload, "options": workload.options}
            for workload in spec.workloads
        ],
        "arms": [
            {
                "name": arm.name,
                "optimizer": arm.optimizer,
                "fixed": arm.fixed,
                "search": {key: {"low": searched.low, "high": searched.high} for key, searched in arm.search.items()},
                "schedule": {key: schedule.model_dump() for key, schedule in arm.schedule.items()},
            }
            for arm in spec.arms
        ],
        "protocol": {
            "objective": protocol.objective,
            "sampler": protocol.sampler,
            "trials": protocol.trials,
            "reference": protocol.reference,
        },
    }


def _workload_faults(old: WorkloadSpec, new: WorkloadSpec, path: str) -> Iterator[Fault]:
    for name in new.options.keys() - old.options.keys():
        yield _change_fault(f"{path}/options", f"{old.workload} has got an option {name!r}")
    if old.steps_per_epoch != new.steps_per_epoch:
        detail = f"an epoch of {old.workload} had {old.steps_per_epoch} steps, and has {new.steps_per_epoch} now"
        yield _change_fault(f"{path}/steps_per_epoch", detail)


def _arm_faults(old: ArmSpec, new: ArmSpec, path: str) -> Iterator[Fault]:
    for name in new.fixed.keys() - old.fixed.keys():
        yield _change_fault(f"{path}/fixed", f"{old.optimizer} has got a hyperparameter {name!r}")
    for name, searched in old.search.items():
        if searched != new.search[name]:
            yield _change_fault(
                path + json_pointer("search", name), f"the bounds or the scale of {name!r} have changed"
            )


def _change_fault(path: str, detail: str) -> Fault:
    return Fault(pointer=path, detail=f"{detail}; post the study anew")
