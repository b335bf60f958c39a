"""Whether a complete spec can be trained once more: checked against the present catalogue, as a posted study is."""

from collections.abc import Iterator

from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.validation.catalogue import Catalogue
from studies.validation.faults import Fault, InvalidStudyError, pointer
from studies.validation.resolver import resolve


def recheck(spec: StudySpec, catalogue: Catalogue) -> None:
    """Make sure that a spec means what it meant when it was made complete.

    Args:
        spec: Of an earlier study.
        catalogue: What the runner can train now.

    Raises:
        InvalidStudyError: It does not; the faults' pointers are into the spec.
    """
    now = resolve(_definition(spec), catalogue)
    faults: list[Fault] = []
    for i, (had, has) in enumerate(zip(spec.workloads, now.workloads, strict=True)):
        faults += _workload_faults(had, has, pointer("workloads", i))
    for i, (had, has) in enumerate(zip(spec.arms, now.arms, strict=True)):
        faults += _arm_faults(had, has, pointer("arms", i))
    if spec.protocol.direction is not now.protocol.direction:
        detail = f"{spec.protocol.objective} was to {spec.protocol.direction}, and is to {now.protocol.direction} now"
        faults.append(_changed("/protocol/objective", detail))
    if faults:
        raise InvalidStudyError(faults)


def _definition(spec: StudySpec) -> dict[str, object]:
    """Return as a posted study what of a spec depends on the catalogue; lengths and seeds do not."""
    protocol = spec.protocol
    return {
        "name": spec.name,
        "workloads": [
            {"name": each.name, "workload": each.workload, "options": each.options} for each in spec.workloads
        ],
        "arms": [
            {
                "name": arm.name,
                "optimizer": arm.optimizer,
                "fixed": arm.fixed,
                "search": {key: {"low": each.low, "high": each.high} for key, each in arm.search.items()},
                "schedule": {key: each.model_dump() for key, each in arm.schedule.items()},
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


def _workload_faults(had: WorkloadSpec, has: WorkloadSpec, at: str) -> Iterator[Fault]:
    for name in has.options.keys() - had.options.keys():
        yield _changed(f"{at}/options", f"{had.workload} has got an option {name!r}")
    if had.steps_per_epoch != has.steps_per_epoch:
        detail = f"an epoch of {had.workload} had {had.steps_per_epoch} steps, and has {has.steps_per_epoch} now"
        yield _changed(f"{at}/steps_per_epoch", detail)


def _arm_faults(had: ArmSpec, has: ArmSpec, at: str) -> Iterator[Fault]:
    for name in has.fixed.keys() - had.fixed.keys():
        yield _changed(f"{at}/fixed", f"{had.optimizer} has got a hyperparameter {name!r}")
    for name, searched in had.search.items():
        if searched != has.search[name]:
            yield _changed(at + pointer("search", name), f"the bounds or the scale of {name!r} have changed")


def _changed(at: str, detail: str) -> Fault:
    return Fault(pointer=at, detail=f"{detail}; post the study anew")
