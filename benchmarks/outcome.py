"""The outcome of a benchmarked study, and its JSON form."""

import json
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """The confirm runs of an arm on a workload.

    Args:
        workload: The workload.
        arm: The arm.
        lr: The selected learning rate; 0 if the arm has none.
        losses: Final training losses by seed; +inf for a run that diverged.
    """

    workload: str
    arm: str
    lr: float
    losses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished study.

    Args:
        seconds: Wall-clock time.
        runs: Number of trained runs.
        arms: Results in the spec's order.
    """

    seconds: float
    runs: int
    arms: tuple[ArmResult, ...]


def to_json(outcome: Outcome) -> str:
    """Return an outcome as JSON, with infinities as Python writes them.

    Args:
        outcome: The outcome.
    """
    return json.dumps(asdict(outcome))


def from_json(text: str) -> Outcome:
    """Return an outcome from its JSON form.

    Args:
        text: From `to_json`.
    """
    return TypeAdapter(Outcome).validate_json(text)
