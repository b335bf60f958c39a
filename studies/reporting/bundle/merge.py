"""Merging several studies into one: the faults that prevent it, and the merged spec and rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from studies.records.rows import Rows
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.validation.faults import Fault, json_pointer

#: Protocol fields that may differ; the first study's value is used.
MERGEABLE_FIELDS = frozenset({"reference"})


def merge_faults(specs: Mapping[str, StudySpec]) -> tuple[Fault, ...]:
    """Return why studies cannot be compared in one report, a fault for each field that differs; empty if they can.

    Their protocols must be the same except for the reference, without a budget, and so must their workloads, and arms
    of the same name.

    Args:
        specs: By study id, at least two.
    """
    (first, *_), faults = specs.items(), dict[str, Fault]()
    budgets = {name: spec.protocol.budget for name, spec in specs.items()}
    if any(budget is not None for budget in budgets.values()):
        path = json_pointer("protocol", "budget")
        limits = [budget and budget.model_dump(mode="json", exclude_none=True) for budget in budgets.values()]
        has = ", ".join(f"{name} has {limit}" for name, limit in zip(budgets, limits, strict=True))
        detail = (
            f"{has}; what it leaves a search depends on the study's other arms; only studies without can be compared"
        )
        faults[path] = Fault(pointer=path, detail=detail)
    for other in list(specs.items())[1:]:
        for path, mine, theirs in _differences(first[1], other[1]):
            detail = f"{first[0]} has {mine}, {other[0]} has {theirs}; only studies that agree in it can be compared"
            faults.setdefault(path, Fault(pointer=path, detail=detail))
    return tuple(faults.values())


def merge_specs(specs: Sequence[StudySpec]) -> StudySpec:
    """Return the spec with the arms of all studies, those of the same name once.

    Args:
        specs: Without `merge_faults`.
    """
    first = specs[0]
    arms = {arm.name: arm for spec in reversed(specs) for arm in spec.arms}
    order = dict.fromkeys(arm.name for spec in specs for arm in spec.arms)
    name = " with ".join(dict.fromkeys(spec.name for spec in specs))
    return first.model_copy(update={"name": name, "arms": tuple(arms[name] for name in order)})


def merge_rows(studies: Sequence[tuple[StudySpec, Rows]]) -> Rows:
    """Return the rows of all studies; for an arm that several have, those of the first.

    Args:
        studies: Specs without `merge_faults`, and rows.
    """
    merged_arms: set[str] = set()
    merged, packs = Rows(), 0
    for spec, rows in studies:
        new = {arm.name for arm in spec.arms} - merged_arms
        merged_arms |= new
        runs = [replace(run, pack=run.pack + packs) for run in rows.runs if run.arm in new]
        merged = Rows(
            trials=(*merged.trials, *(trial for trial in rows.trials if trial.arm in new)),
            packs=(*merged.packs, *(replace(p, number=p.number + packs) for p in rows.packs if p.arm in new)),
            runs=(*merged.runs, *runs),
        )
        packs += 1 + max((pack.number for pack in rows.packs), default=-1)
    return merged


def _differences(one: StudySpec, two: StudySpec) -> Iterator[tuple[str, object, object]]:
    """Yield the path of each field that must not differ and does, with both values."""
    mine, theirs = (spec.protocol.model_dump(mode="json") for spec in (one, two))
    for name in mine:
        if name not in MERGEABLE_FIELDS and mine[name] != theirs[name]:
            yield json_pointer("protocol", name), mine[name], theirs[name]
    names = [[workload.name for workload in spec.workloads] for spec in (one, two)]
    if set(names[0]) != set(names[1]):
        yield json_pointer("workloads"), ", ".join(names[0]), ", ".join(names[1])
    for name in (name for name in names[0] if name in names[1]):
        yield from _differing_fields(
            json_pointer("workloads", name), *(_workload(spec.workload(name)) for spec in (one, two))
        )
    arms = [{arm.name: arm for arm in spec.arms} for spec in (one, two)]
    for name in (name for name in arms[0] if name in arms[1]):
        yield from _differing_fields(json_pointer("arms", name), *(_arm(arms_by_name[name]) for arms_by_name in arms))


def _differing_fields(
    at: str, mine: Mapping[str, object], theirs: Mapping[str, object]
) -> Iterator[tuple[str, object, object]]:
    for field in mine:
        if mine[field] != theirs[field]:
            yield f"{at}{json_pointer(field)}", mine[field], theirs[field]


def _workload(workload: WorkloadSpec) -> Mapping[str, object]:
    return workload.model_dump(mode="json", exclude={"lanes"})  # lanes change no result


def _arm(arm: ArmSpec) -> Mapping[str, object]:
    return arm.model_dump(mode="json")
