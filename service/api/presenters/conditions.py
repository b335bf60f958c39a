"""Why a study is where it is, in plain words."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from service.states import State
from service.storage.entities import StudyRow
from studies.planning.progress import Place, Standing


def conditions(study: StudyRow, searches: Mapping[Place, Standing], ahead: int, now: datetime) -> tuple[str, ...]:
    """Return what there is to say of a study besides its state and progress.

    Args:
        study: The study.
        searches: Where each search stands, by (workload, arm).
        ahead: Studies that will be claimed before it; any number where it is not queued.
        now: The present time.
    """
    return (*_waiting(study, ahead, now), *_extended(searches), *_cut(searches))


def _waiting(study: StudyRow, ahead: int, now: datetime) -> Iterator[str]:
    if study.state is State.QUEUED:
        yield "waits for a runner that has room" if ahead == 0 else f"waits behind {ahead} in the queue"
    if study.state is State.PAUSED and study.held_until is not None and study.held_until >= now:
        yield "its driver finishes what is in training"
    if study.state is State.RUNNING and study.waiting:
        yield study.waiting


def _extended(searches: Mapping[Place, Standing]) -> Iterator[str]:
    for (workload, arm), found in searches.items():
        if len(found.rounds) > 1:
            last = found.rounds[-1].ranges
            ranges = ", ".join(f"{name} {each.low:g} to {each.high:g}" for name, each in last.items())
            yield f"range extended for {arm} on {workload}: {ranges}"


def _cut(searches: Mapping[Place, Standing]) -> Iterator[str]:
    for (workload, arm), found in searches.items():
        if found.cut:
            planned = found.trials_done if found.done else found.trials
            yield f"the budget leaves the search for {arm} on {workload} {planned} of {found.asked} trials"
