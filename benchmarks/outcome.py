"""What a study came to, and how it travels from a peer's process as JSON."""

import json
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """An arm on a workload, confirmed.

    Args:
        workload: The workload.
        arm: The arm.
        lr: The chosen learning rate; 0 where the arm has none.
        losses: Final training losses by seed; +inf where a run diverged.
    """

    workload: str
    arm: str
    lr: float
    losses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A study, done.

    Args:
        seconds: Wall-clock.
        runs: Trained.
        confirmed: In the spec's order.
    """

    seconds: float
    runs: int
    confirmed: tuple[Confirmed, ...]


def written(outcome: Outcome) -> str:
    """Return an outcome as JSON, with infinities as Python writes them.

    Args:
        outcome: The outcome.
    """
    return json.dumps(asdict(outcome))


def read(text: str) -> Outcome:
    """Return what `written` was given.

    Args:
        text: What it gave.
    """
    return TypeAdapter(Outcome).validate_json(text)
