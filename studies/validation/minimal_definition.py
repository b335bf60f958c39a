"""From a complete spec back to a definition that resolves to it, so that a study can be posted again."""

import math

from studies.spec.definition import (
    ArmDefinition,
    ProtocolDefinition,
    RangeDefinition,
    StudyDefinition,
    WorkloadDefinition,
)
from studies.spec.study import ArmSpec, ProtocolSpec, StudySpec, WorkloadSpec

#: Most trials and confirm seeds that a definition may ask for; see `ProtocolDefinition`.
MOST_TRIALS, MOST_SEEDS = 10_000, 1000


def restated(spec: StudySpec) -> StudyDefinition:
    """Return a definition with every value given, which resolves to the same spec and so to the same hash.

    Where the study was scaled, lengths, trials and seeds are those that are scaled to the spec's.

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
    """Return a length that scales to both the confirm runs' and the search runs'."""
    factors = (protocol.scale, workload.steps), (protocol.scale * protocol.search_length, workload.search_steps)
    lowest = max((steps - 0.5) / factor if steps > 1 else 0.0 for factor, steps in factors)
    highest = min((steps + 0.5) / factor for factor, steps in factors)
    near = round(workload.steps / protocol.scale)
    tried = (near, math.floor((lowest + highest) / 2), math.ceil(lowest), math.floor(highest))
    return next(
        (length for length in tried if all(max(1, round(length * factor)) == steps for factor, steps in factors)), near
    )


def _arm(arm: ArmSpec) -> ArmDefinition:
    return ArmDefinition(
        name=arm.name,
        optimizer=arm.optimizer,
        fixed=dict(arm.fixed),
        search={name: RangeDefinition(low=each.low, high=each.high) for name, each in arm.search.items()},
        schedule=dict(arm.schedule),
    )


def _protocol(protocol: ProtocolSpec) -> ProtocolDefinition:
    values = protocol.model_dump(exclude={"direction"}) | {
        "trials": _unscaled(protocol.trials, protocol.scale, MOST_TRIALS),
        "search_seeds": _unscaled(protocol.search_seeds, protocol.scale, MOST_SEEDS),
        "confirm_seeds": _unscaled(protocol.confirm_seeds, protocol.scale, MOST_SEEDS),
    }
    return ProtocolDefinition.model_validate(values)


def _unscaled(amount: int, scale: float, most: int) -> int:
    """Return an amount that scales to this one; 1 and what is above the most come from scaling's lower bounds."""
    return 1 if amount == 1 else min(most, round(amount / scale))
