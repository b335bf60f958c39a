"""Conversion of a complete spec back to a definition that resolves to it, so that a study can be posted again."""

import math

from studies.spec.definition import (
    ArmDefinition,
    ProtocolDefinition,
    RangeDefinition,
    StudyDefinition,
    WorkloadDefinition,
)
from studies.spec.study import ArmSpec, ProtocolSpec, StudySpec, WorkloadSpec

#: The largest numbers of trials and of seeds that `ProtocolDefinition` allows.
MAX_TRIALS, MAX_SEEDS = 10_000, 1000


def definition_from_spec(spec: StudySpec) -> StudyDefinition:
    """Return a definition with every value given, which resolves to the same spec and so to the same hash.

    For a scaled study, lengths, trials and seeds are the unscaled ones.

    Args:
        spec: The study.
    """
    return StudyDefinition(
        name=spec.name,
        workloads=tuple(_workload(workload, spec.protocol) for workload in spec.workloads),
        arms=tuple(_arm(arm) for arm in spec.arms),
        protocol=_protocol(spec.protocol),
    )


def _workload(workload: WorkloadSpec, protocol: ProtocolSpec) -> WorkloadDefinition:
    return WorkloadDefinition(
        name=workload.name,
        workload=workload.workload,
        options=dict(workload.options),
        steps=_steps(workload, protocol),
        lanes=workload.lanes,
    )


def _steps(workload: WorkloadSpec, protocol: ProtocolSpec) -> int:
    """Return an unscaled length that scales to the lengths of both the confirm runs and the search runs."""
    factors = (protocol.scale, workload.steps), (protocol.scale * protocol.search_length, workload.search_steps)
    lowest = max((steps - 0.5) / factor if steps > 1 else 0.0 for factor, steps in factors)
    highest = min((steps + 0.5) / factor for factor, steps in factors)
    nearest = round(workload.steps / protocol.scale)
    candidates = (nearest, math.floor((lowest + highest) / 2), math.ceil(lowest), math.floor(highest))
    return next(
        (length for length in candidates if all(max(1, round(length * factor)) == steps for factor, steps in factors)),
        nearest,
    )


def _arm(arm: ArmSpec) -> ArmDefinition:
    return ArmDefinition(
        name=arm.name,
        optimizer=arm.optimizer,
        fixed=dict(arm.fixed),
        search={name: RangeDefinition(low=searched.low, high=searched.high) for name, searched in arm.search.items()},
        schedule=dict(arm.schedule),
    )


def _protocol(protocol: ProtocolSpec) -> ProtocolDefinition:
    values = protocol.model_dump(exclude={"direction"}) | {
        "trials": _unscale(protocol.trials, protocol.scale, MAX_TRIALS),
        "search_seeds": _unscale(protocol.search_seeds, protocol.scale, MAX_SEEDS),
        "confirm_seeds": _unscale(protocol.confirm_seeds, protocol.scale, MAX_SEEDS),
    }
    return ProtocolDefinition.model_validate(values)


def _unscale(amount: int, scale: float, maximum: int) -> int:
    """Return an amount that scales to this one; scaling never goes below 1, so 1 stays 1."""
    return 1 if amount == 1 else min(maximum, round(amount / scale))
