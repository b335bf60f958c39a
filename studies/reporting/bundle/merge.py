"""Several studies as one: what forbids it, and the spec and rows of the whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from studies.records.rows import Rows
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.validation.faults import Fault, pointer

#: Of the protocol only these may differ: the reference is the first study's.
MAY_DIFFER = frozenset({"reference"})


def join_faults(specs: Mapping[str, StudySpec]) -> tuple[Fault, ...]:
    """Return why studies cannot be compared in one report, a fault for each field that differs; none where they can.

    They must have one protocol, but for the reference, without a budget, and the same workloads; arms of one name must
    be set alike.

    Args:
        specs: By study id, at least two.
    """
    (first, *_), found = specs.items(), dict[str, Fault]()
    budgets = {name: spec.protocol.budget for name, spec in specs.items()}
    if any(budget is not None for budget in budgets.values()):
        path = pointer("protocol", "budget")
        given = [budget and budget.model_dump(mode="json", exclude_none=True) for budget in budgets.values()]
        has = ", ".join(f"{name} has {each}" for name, each in zip(budgets, given, strict=True))
        detail = (
            f"{has}; what it leaves a search depends on the study's other arms; only studies without can be compared"
        )
        found[path] = Fault(pointer=path, detail=detail)
    for other in list(specs.items())[1:]:
        for path, mine, theirs in _differing(first[1], other[1]):
            detail = f"{first[0]} has {mine}, {other[0]} has {theirs}; only studies that agree in it can be compared"
            found.setdefault(path, Fault(pointer=path, detail=detail))
    return tuple(found.values())


def joined_spec(specs: Sequence[StudySpec]) -> StudySpec:
    """Return the spec that has the arms of all, those of one name once.

    Args:
        specs: Without `join_faults`.
    """
    first = specs[0]
    arms = {arm.name: arm for spec in reversed(specs) for arm in spec.arms}
    order = dict.fromkeys(arm.name for spec in specs for arm in spec.arms)
    name = " with ".join(dict.fromkeys(spec.name for spec in specs))
    return first.model_copy(update={"name": name, "arms": tuple(arms[name] for name in order)})


def joined_rows(studies: Sequence[tuple[StudySpec, Rows]]) -> Rows:
    """Return the rows of all; of an arm that several have, those of the first.

    Args:
        studies: Specs without `join_faults`, and rows.
    """
    taken: set[str] = set()
    found, packs = Rows(), 0
    for spec, rows in studies:
        new = {arm.name for arm in spec.arms} - taken
        taken |= new
        runs = [replace(run, pack=run.pack + packs) for run in rows.runs if run.arm in new]
        found = Rows(
            trials=(*found.trials, *(trial for trial in rows.trials if trial.arm in new)),
            packs=(*found.packs, *(replace(p, number=p.number + packs) for p in rows.packs if p.arm in new)),
            runs=(*found.runs, *runs),
        )
        packs += 1 + max((pack.number for pack in rows.packs), default=-1)
    return found


def _differing(one: StudySpec, two: StudySpec) -> Iterator[tuple[str, object, object]]:
    """Yield the path of each field that must not differ and does, with both values."""
    mine, theirs = (spec.protocol.model_dump(mode="json") for spec in (one, two))
    for name in mine:
        if name not in MAY_DIFFER and mine[name] != theirs[name]:
            yield pointer("protocol", name), mine[name], theirs[name]
    names = [[workload.name for workload in spec.workloads] for spec in (one, two)]
    if set(names[0]) != set(names[1]):
        yield pointer("workloads"), ", ".join(names[0]), ", ".join(names[1])
    for name in (name for name in names[0] if name in names[1]):
        yield from _fields(pointer("workloads", name), *(_workload(spec.workload(name)) for spec in (one, two)))
    arms = [{arm.name: arm for arm in spec.arms} for spec in (one, two)]
    for name in (name for name in arms[0] if name in arms[1]):
        yield from _fields(pointer("arms", name), *(_arm(each[name]) for each in arms))


def _fields(at: str, mine: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[tuple[str, object, object]]:
    for field in mine:
        if mine[field] != theirs[field]:
            yield f"{at}{pointer(field)}", mine[field], theirs[field]


def _workload(workload: WorkloadSpec) -> Mapping[str, object]:
    return workload.model_dump(mode="json", exclude={"lanes"})  # which change no result


def _arm(arm: ArmSpec) -> Mapping[str, object]:
    return arm.model_dump(mode="json")
