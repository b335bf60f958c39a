"""Why a study is where it is, in plain words."""

from collections.abc import Iterator
from datetime import datetime

from service.entities import StudyRow
from service.states import State
from studies.choose import search
from studies.rows import Rows, by_arm


def conditions(study: StudyRow, rows: Rows, ahead: int, now: datetime) -> tuple[str, ...]:
    """Return what there is to say of a study besides its state and progress.

    Args:
        study: The study.
        rows: Its rows; the runs need no series.
        ahead: Studies that will be claimed before it.
        now: The present time.
    """
    return (*_waiting(study, rows, ahead, now), *_extended(study, rows))


def _waiting(study: StudyRow, rows: Rows, ahead: int, now: datetime) -> Iterator[str]:
    if study.state is State.QUEUED:
        yield "waits for a runner that has room" if ahead == 0 else f"waits behind {ahead} in the queue"
    if study.state is State.PAUSED and study.held_until is not None and study.held_until >= now:
        yield "its driver finishes what is in training"


def _extended(study: StudyRow, rows: Rows) -> Iterator[str]:
    apart = by_arm(rows)
    for (workload, arm), own in apart.items():
        rounds = search(study.spec, own, workload, arm).rounds
        if len(rounds) > 1:
            ranges = ", ".join(f"{name} {each.low:g} to {each.high:g}" for name, each in rounds[-1].ranges.items())
            yield f"range extended for {arm} on {workload}: {ranges}"
