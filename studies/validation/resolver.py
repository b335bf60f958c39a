"""From a posted body to a complete spec, or every fault of the body at once, each with its JSON pointer."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from studies.search import budget
from studies.search.successive_halving import rung_steps
from studies.spec.definition import (
    ArmDefinition,
    ProtocolDefinition,
    Pruner,
    Sampler,
    ScheduleDefinition,
    StudyDefinition,
    WorkloadDefinition,
)
from studies.spec.parameters import Hyperparameter
from studies.spec.schedule import Schedule
from studies.spec.study import ArmSpec, ProtocolSpec, SearchRange, StudySpec, WorkloadSpec
from studies.validation.catalogue import Catalogue, OptimizerEntry, WorkloadEntry
from studies.validation.faults import Fault, InvalidStudyError, pointer

Part = TypeVar("Part", bound=BaseModel)


def resolve(body: object, catalogue: Catalogue) -> StudySpec:
    """Return the complete spec of a posted study.

    Args:
        body: What JSON or YAML gave.
        catalogue: What the runner can train.

    Raises:
        InvalidStudyError: With every fault of the body.
    """
    faults = list(_structure_faults(body))
    faults += _meaning_faults(body, catalogue)
    if faults:
        raise InvalidStudyError(sorted(set(faults), key=lambda fault: (fault.pointer, fault.detail)))
    spec = _complete(StudyDefinition.model_validate(body), catalogue)
    # what a budget must suffice for is known once all else is
    lacking = budget.faults(spec)
    if lacking:
        raise InvalidStudyError(
            [Fault(pointer=pointer("protocol", "budget", name), detail=detail) for name, detail in lacking.items()]
        )
    return spec


def _structure_faults(body: object) -> Iterator[Fault]:
    try:
        StudyDefinition.model_validate(body)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False):
            if item["type"] == "too_short" and item["input"]:
                continue  # there are items, each with a fault of its own: pydantic counts only the good ones
            # pydantic marks a faulty mapping key by "[key]" and adds the type tried of a union (an option's value):
            # neither is in the body
            place = item["loc"][:4] if item["loc"][2:3] == ("options",) else item["loc"]
            path = [part for part in place if part != "[key]"]
            shown = repr(item["input"])
            value = "" if item["type"] == "missing" else f" (got {shown if len(shown) <= 80 else shown[:77] + '...'})"
            known = "unknown field; check its spelling" if item["type"] == "extra_forbidden" else item["msg"]
            yield Fault(pointer=pointer(*path), detail=known + value)


def _meaning_faults(body: object, catalogue: Catalogue) -> list[Fault]:
    """Check the parts that are well formed by themselves, so that one bad part does not hide another's faults."""
    if not isinstance(body, Mapping):
        return []
    document = cast(Mapping[str, object], body)
    workloads = list(_parts(document.get("workloads"), WorkloadDefinition))
    arms = list(_parts(document.get("arms"), ArmDefinition))
    faults = _repeated("workloads", [(i, part.name) for i, part in workloads])
    faults += _repeated("arms", [(i, part.name) for i, part in arms])
    for i, workload in workloads:
        faults += _workload_faults(workload, catalogue, pointer("workloads", i))
    for i, arm in arms:
        faults += _arm_faults(arm, catalogue, pointer("arms", i))
    try:
        protocol = ProtocolDefinition.model_validate(document.get("protocol", {}))
    except ValidationError:
        return faults
    return faults + _protocol_faults(protocol, [w for _, w in workloads], [a for _, a in arms], catalogue)


def _parts(found: object, model: type[Part]) -> Iterator[tuple[int, Part]]:
    for i, part in enumerate(cast(Sequence[object], found) if isinstance(found, list | tuple) else ()):
        with suppress(ValidationError):  # _structure_faults has named it
            yield i, model.model_validate(part)


def _repeated(field: str, names: Sequence[tuple[int, str]]) -> list[Fault]:
    seen: set[str] = set()
    faults: list[Fault] = []
    for i, name in names:
        if name in seen:
            faults.append(Fault(pointer=pointer(field, i, "name"), detail=f"{name!r} is already taken; choose another"))
        seen.add(name)
    return faults


def _one_of(name: str, known: Sequence[str]) -> str:
    return f"{name!r} is unknown; known are {', '.join(known)}"


def _workload_faults(chosen: WorkloadDefinition, catalogue: Catalogue, at: str) -> list[Fault]:
    name = chosen.workload or chosen.name
    entry = catalogue.workload(name)
    if entry is None:
        field = "/workload" if chosen.workload else "/name"
        return [Fault(pointer=at + field, detail=_one_of(name, [known.name for known in catalogue.workloads]))]
    faults: list[Fault] = []
    if chosen.steps is not None and chosen.epochs is not None:
        faults.append(Fault(pointer=at + "/epochs", detail="give steps or epochs, not both"))
    options = {option.name: option for option in entry.options}
    for key, value in chosen.options.items():
        place = at + pointer("options", key)
        fault = options[key].fault(value) if key in options else _one_of(key, list(options))
        if fault is not None:
            faults.append(Fault(pointer=place, detail=fault))
    return faults


def _arm_faults(arm: ArmDefinition, catalogue: Catalogue, at: str) -> list[Fault]:
    name = arm.optimizer or arm.name
    entry = catalogue.optimizer(name)
    if entry is None:
        field = "/optimizer" if arm.optimizer else "/name"
        return [Fault(pointer=at + field, detail=_one_of(name, [known.name for known in catalogue.optimizers]))]
    known = {hyperparameter.name: hyperparameter for hyperparameter in entry.hyperparameters}
    faults: list[Fault] = []
    for key, value in arm.fixed.items():
        fault = known[key].fault(value) if key in known else _one_of(key, list(known))
        if fault is not None:
            faults.append(Fault(pointer=at + pointer("fixed", key), detail=fault))
    for key, posted in arm.search.items():
        place = at + pointer("search", key)
        if key not in known:
            faults.append(Fault(pointer=place, detail=_one_of(key, list(known))))
            continue
        if key in arm.fixed:
            faults.append(Fault(pointer=place, detail=f"{key!r} is fixed as well; fix it or search it"))
        faults += _range_faults(known[key], posted.low, posted.high, place)
    for key, posted in arm.schedule.items():
        fault = _schedule_fault(arm, posted, known[key]) if key in known else _one_of(key, list(known))
        if fault is not None:
            faults.append(Fault(pointer=at + pointer("schedule", key), detail=fault))
    return faults


def _schedule_fault(arm: ArmDefinition, posted: ScheduleDefinition, hyperparameter: Hyperparameter) -> str | None:
    key = hyperparameter.name
    values = [arm.fixed.get(key, hyperparameter.default)]
    if key in arm.search:
        ends = (arm.search[key].low, hyperparameter.search_low), (arm.search[key].high, hyperparameter.search_high)
        values = [default if end is None else end for end, default in ends]
    for value in (value * factor for value in values for factor in Schedule(**dict(posted)).extremes):
        fault = hyperparameter.fault(value)
        if fault is not None:
            return f"it takes {key} to {value:g}: {fault}"
    return None


def _range_faults(hyperparameter: Hyperparameter, low: float | None, high: float | None, at: str) -> list[Fault]:
    ends = {
        "low": hyperparameter.search_low if low is None else low,
        "high": hyperparameter.search_high if high is None else high,
    }
    faults = [
        Fault(pointer=f"{at}/{end}", detail=fault)
        for end, value in ends.items()
        if (fault := hyperparameter.fault(value)) is not None
    ]
    if hyperparameter.log:
        faults += [
            Fault(
                pointer=f"{at}/{end}",
                detail=f"{value!r} has no logarithm; this range is log-scaled, give a value above 0",
            )
            for end, value in ends.items()
            if value <= 0
        ]
    if not ends["low"] < ends["high"]:
        faults.append(Fault(pointer=f"{at}/low", detail=f"{ends['low']!r} is not below high, {ends['high']!r}"))
    return faults


def _protocol_faults(
    protocol: ProtocolDefinition,
    workloads: Sequence[WorkloadDefinition],
    arms: Sequence[ArmDefinition],
    catalogue: Catalogue,
) -> list[Fault]:
    faults: list[Fault] = []
    for chosen in workloads:
        entry = catalogue.workload(chosen.workload or chosen.name)
        if entry is not None and protocol.objective not in entry.objectives():
            detail = f"{chosen.name} has no {protocol.objective!r}; it has {', '.join(entry.objectives())}"
            faults.append(Fault(pointer="/protocol/objective", detail=detail))
    if protocol.reference is not None and protocol.reference not in {arm.name for arm in arms}:
        detail = f"{protocol.reference!r} is not an arm; the arms are {', '.join(arm.name for arm in arms)}"
        faults.append(Fault(pointer="/protocol/reference", detail=detail))
    if protocol.batch is not None and protocol.batch > protocol.trials:
        detail = f"{protocol.batch} is more than trials, {protocol.trials}"
        faults.append(Fault(pointer="/protocol/batch", detail=detail))
    if protocol.pruner is Pruner.ASHA:
        if protocol.search_seeds > 1:
            detail = f"asha judges a trial by one run, search_seeds is {protocol.search_seeds}; set it to 1"
            faults.append(Fault(pointer="/protocol/pruner", detail=detail))
        if protocol.trials < 2:
            detail = (
                f"asha judges by earlier batches, and {protocol.trials} is one batch; give at least 2, or no pruner"
            )
            faults.append(Fault(pointer="/protocol/trials", detail=detail))
        elif protocol.batch == protocol.trials:
            detail = f"asha judges by earlier batches, and {protocol.batch} is all trials; give fewer, or none"
            faults.append(Fault(pointer="/protocol/batch", detail=detail))
    if protocol.sampler is Sampler.GRID:
        faults += [
            Fault(
                pointer="/protocol/sampler",
                detail=f"a grid searches one hyperparameter, arm {arm.name!r} {len(arm.search)}; use random or tpe",
            )
            for arm in arms
            if len(arm.search) > 1
        ]
        if protocol.trials < 2 and any(arm.search for arm in arms):
            faults.append(Fault(pointer="/protocol/trials", detail="a grid needs at least 2 trials"))
    return faults


def _complete(posted: StudyDefinition, catalogue: Catalogue) -> StudySpec:
    protocol, scale = posted.protocol, posted.protocol.scale
    workloads = tuple(_complete_workload(chosen, _workload(catalogue, chosen), protocol) for chosen in posted.workloads)
    arms = tuple(_complete_arm(arm, _optimizer(catalogue, arm)) for arm in posted.arms)
    trials = _scaled(protocol.trials, scale, least=min(2, protocol.trials))  # a grid has two ends
    in_parts = protocol.sampler is Sampler.TPE or protocol.pruner is Pruner.ASHA
    most = trials - 1 if protocol.pruner is Pruner.ASHA else trials  # also where the trials were scaled to so few
    batch = min(most, protocol.batch or (max(1, trials // 4) if in_parts else trials))
    reference = protocol.reference or next((arm for arm in arms if arm.kind == "fixed"), arms[0]).name
    objectives = _workload(catalogue, posted.workloads[0]).objectives()
    values = protocol.model_dump() | {
        "trials": trials,
        "batch": batch,
        "search_seeds": _scaled(protocol.search_seeds, scale),
        "confirm_seeds": _scaled(protocol.confirm_seeds, scale),
        "reference": reference,
        "direction": objectives[protocol.objective],
    }
    return StudySpec(name=posted.name, workloads=workloads, arms=arms, protocol=ProtocolSpec.model_validate(values))


def _scaled(amount: int, scale: float, *, least: int = 1) -> int:
    return max(least, round(amount * scale))


def _workload(catalogue: Catalogue, chosen: WorkloadDefinition) -> WorkloadEntry:
    return next(entry for entry in catalogue.workloads if entry.name == (chosen.workload or chosen.name))


def _optimizer(catalogue: Catalogue, arm: ArmDefinition) -> OptimizerEntry:
    return next(entry for entry in catalogue.optimizers if entry.name == (arm.optimizer or arm.name))


def _complete_workload(chosen: WorkloadDefinition, entry: WorkloadEntry, protocol: ProtocolDefinition) -> WorkloadSpec:
    options: dict[str, float | int | str] = {}
    for option in entry.options:
        value = chosen.options.get(option.name, option.default)
        options[option.name] = value if isinstance(value, str) else type(option.default)(value)
    per_epoch = entry.steps_per_epoch(options)
    steps = chosen.steps or (chosen.epochs * per_epoch if chosen.epochs else entry.default_steps)
    search_steps = _scaled(steps, protocol.scale * protocol.search_length)
    return WorkloadSpec(
        name=chosen.name,
        workload=entry.name,
        options=options,
        steps=_scaled(steps, protocol.scale),
        search_steps=search_steps,
        steps_per_epoch=per_epoch,
        rungs=rung_steps(search_steps, per_epoch) if protocol.pruner is Pruner.ASHA else (),
        lanes=chosen.lanes,
    )


def _complete_arm(arm: ArmDefinition, entry: OptimizerEntry) -> ArmSpec:
    known = {hyperparameter.name: hyperparameter for hyperparameter in entry.hyperparameters}
    search = {
        key: SearchRange(
            low=known[key].search_low if posted.low is None else posted.low,
            high=known[key].search_high if posted.high is None else posted.high,
            log=known[key].log,
            at_least=known[key].at_least,
            at_most=known[key].at_most,
        )
        for key, posted in sorted(arm.search.items())
    }
    fixed = {key: float(arm.fixed.get(key, item.default)) for key, item in known.items() if key not in search}
    return ArmSpec(name=arm.name, optimizer=entry.name, fixed=fixed, search=search, schedule=dict(arm.schedule))
