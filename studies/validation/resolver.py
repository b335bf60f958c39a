"""Resolution of a posted body to a complete spec, or to all faults of the body at once, each with its JSON pointer."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from studies.search import budget
from studies.search.successive_halving import rung_steps
from studies.spec.definition import (
    MAX_PARTS,
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
from studies.validation.faults import Fault, InvalidStudyError, json_pointer

Part = TypeVar("Part", bound=BaseModel)


def resolve(body: object, catalogue: Catalogue) -> StudySpec:
    """Return the complete spec of a posted study.

    Args:
        body: The parsed JSON or YAML.
        catalogue: What the runner can train.

    Raises:
        InvalidStudyError: The body has faults; the error lists all of them, or only the lists that are too long.
    """
    overlong = list(_length_faults(body))
    if overlong:
        raise InvalidStudyError(overlong)
    faults = list(_structure_faults(body))
    faults += _semantic_faults(body, catalogue)
    if faults:
        raise InvalidStudyError(sorted(set(faults), key=lambda fault: (fault.pointer, fault.detail)))
    spec = _complete_study(StudyDefinition.model_validate(body), catalogue)
    # the least budget depends on the complete spec
    budget_faults = budget.faults(spec)
    if budget_faults:
        raise InvalidStudyError(
            [
                Fault(pointer=json_pointer("protocol", "budget", name), detail=detail)
                for name, detail in budget_faults.items()
            ]
        )
    return spec


def _length_faults(body: object) -> Iterator[Fault]:
    """Check the lengths of lists: pydantic looks at each item of a list that is too long."""
    if not isinstance(body, Mapping):
        return
    document = cast(Mapping[str, object], body)
    for field in ("workloads", "arms"):
        parts = document.get(field)
        if isinstance(parts, list | tuple) and len(cast(Sequence[object], parts)) > MAX_PARTS:
            count = len(cast(Sequence[object], parts))
            yield Fault(pointer=json_pointer(field), detail=f"{count} {field}; give at most {MAX_PARTS}")


def _structure_faults(body: object) -> Iterator[Fault]:
    try:
        StudyDefinition.model_validate(body)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False):
            if item["type"] == "too_short" and item["input"]:
                continue  # pydantic counts only valid items; each invalid one has a fault of its own
            # pydantic marks a faulty mapping key by "[key]" and adds the type tried of a union (an option's value):
            # neither is in the body
            location = item["loc"][:4] if item["loc"][2:3] == ("options",) else item["loc"]
            path = [part for part in location if part != "[key]"]
            text = repr(item["input"])
            value = "" if item["type"] == "missing" else f" (got {text if len(text) <= 80 else text[:77] + '...'})"
            message = "unknown field; check its spelling" if item["type"] == "extra_forbidden" else item["msg"]
            yield Fault(pointer=json_pointer(*path), detail=message + value)


def _semantic_faults(body: object, catalogue: Catalogue) -> list[Fault]:
    """Check the parts that are well-formed by themselves, so that one malformed part does not hide other faults."""
    if not isinstance(body, Mapping):
        return []
    document = cast(Mapping[str, object], body)
    workloads = list(_valid_parts(document.get("workloads"), WorkloadDefinition))
    arms = list(_valid_parts(document.get("arms"), ArmDefinition))
    faults = _duplicate_faults("workloads", [(i, part.name) for i, part in workloads])
    faults += _duplicate_faults("arms", [(i, part.name) for i, part in arms])
    for i, workload in workloads:
        faults += _workload_faults(workload, catalogue, json_pointer("workloads", i))
    for i, arm in arms:
        faults += _arm_faults(arm, catalogue, json_pointer("arms", i))
    try:
        protocol = ProtocolDefinition.model_validate(document.get("protocol", {}))
    except ValidationError:
        return faults
    return faults + _protocol_faults(protocol, [w for _, w in workloads], [a for _, a in arms], catalogue)


def _valid_parts(parts: object, model: type[Part]) -> Iterator[tuple[int, Part]]:
    for i, part in enumerate(cast(Sequence[object], parts) if isinstance(parts, list | tuple) else ()):
        with suppress(ValidationError):  # _structure_faults reports it
            yield i, model.model_validate(part)


def _duplicate_faults(field: str, names: Sequence[tuple[int, str]]) -> list[Fault]:
    seen: set[str] = set()
    faults: list[Fault] = []
    for i, name in names:
        if name in seen:
            faults.append(
                Fault(pointer=json_pointer(field, i, "name"), detail=f"{name!r} is already taken; choose another")
            )
        seen.add(name)
    return faults


def _unknown_name(name: str, known: Sequence[str]) -> str:
    return f"{name!r} is unknown; known are {', '.join(known)}"


def _workload_faults(workload: WorkloadDefinition, catalogue: Catalogue, path: str) -> list[Fault]:
    name = workload.workload or workload.name
    entry = catalogue.workload(name)
    if entry is None:
        field = "/workload" if workload.workload else "/name"
        return [Fault(pointer=path + field, detail=_unknown_name(name, [known.name for known in catalogue.workloads]))]
    faults: list[Fault] = []
    if workload.steps is not None and workload.epochs is not None:
        faults.append(Fault(pointer=path + "/epochs", detail="give steps or epochs, not both"))
    options = {option.name: option for option in entry.options}
    for key, value in workload.options.items():
        fault = options[key].fault(value) if key in options else _unknown_name(key, list(options))
        if fault is not None:
            faults.append(Fault(pointer=path + json_pointer("options", key), detail=fault))
    return faults


def _arm_faults(arm: ArmDefinition, catalogue: Catalogue, path: str) -> list[Fault]:
    name = arm.optimizer or arm.name
    entry = catalogue.optimizer(name)
    if entry is None:
        field = "/optimizer" if arm.optimizer else "/name"
        return [Fault(pointer=path + field, detail=_unknown_name(name, [known.name for known in catalogue.optimizers]))]
    known = {hyperparameter.name: hyperparameter for hyperparameter in entry.hyperparameters}
    faults: list[Fault] = []
    for key, value in arm.fixed.items():
        fault = known[key].fault(value) if key in known else _unknown_name(key, list(known))
        if fault is not None:
            faults.append(Fault(pointer=path + json_pointer("fixed", key), detail=fault))
    for key, posted in arm.search.items():
        range_path = path + json_pointer("search", key)
        if key not in known:
            faults.append(Fault(pointer=range_path, detail=_unknown_name(key, list(known))))
            continue
        if key in arm.fixed:
            faults.append(Fault(pointer=range_path, detail=f"{key!r} is fixed as well; fix it or search it"))
        faults += _range_faults(known[key], posted.low, posted.high, range_path)
    for key, posted in arm.schedule.items():
        fault = _schedule_fault(arm, posted, known[key]) if key in known else _unknown_name(key, list(known))
        if fault is not None:
            faults.append(Fault(pointer=path + json_pointer("schedule", key), detail=fault))
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


def _range_faults(hyperparameter: Hyperparameter, low: float | None, high: float | None, path: str) -> list[Fault]:
    ends = {
        "low": hyperparameter.search_low if low is None else low,
        "high": hyperparameter.search_high if high is None else high,
    }
    faults = [
        Fault(pointer=f"{path}/{end}", detail=fault)
        for end, value in ends.items()
        if (fault := hyperparameter.fault(value)) is not None
    ]
    if hyperparameter.log:
        faults += [
            Fault(
                pointer=f"{path}/{end}",
                detail=f"{value!r} has no logarithm; this range is log-scaled, give a value above 0",
            )
            for end, value in ends.items()
            if value <= 0
        ]
    if not ends["low"] < ends["high"]:
        faults.append(Fault(pointer=f"{path}/low", detail=f"{ends['low']!r} is not below high, {ends['high']!r}"))
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


def _complete_study(posted: StudyDefinition, catalogue: Catalogue) -> StudySpec:
    protocol, scale = posted.protocol, posted.protocol.scale
    workloads = tuple(
        _complete_workload(chosen, _workload_entry(catalogue, chosen), protocol) for chosen in posted.workloads
    )
    arms = tuple(_complete_arm(arm, _optimizer_entry(catalogue, arm)) for arm in posted.arms)
    trials = _scaled(protocol.trials, scale, least=min(2, protocol.trials))  # a grid has two ends
    several_batches = protocol.sampler is Sampler.TPE or protocol.pruner is Pruner.ASHA
    max_batch = trials - 1 if protocol.pruner is Pruner.ASHA else trials  # scaling may have left fewer trials
    batch = min(max_batch, protocol.batch or (max(1, trials // 4) if several_batches else trials))
    reference = protocol.reference or next((arm for arm in arms if arm.kind == "fixed"), arms[0]).name
    objectives = _workload_entry(catalogue, posted.workloads[0]).objectives()
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


def _workload_entry(catalogue: Catalogue, chosen: WorkloadDefinition) -> WorkloadEntry:
    return next(entry for entry in catalogue.workloads if entry.name == (chosen.workload or chosen.name))


def _optimizer_entry(catalogue: Catalogue, arm: ArmDefinition) -> OptimizerEntry:
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
