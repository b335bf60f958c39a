"""A study's conditions: sentences that explain its state and its searches."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from service.states import State
from service.storage.entities import StudyRow
from studies.planning.progress import ArmKey, SearchProgress
from studies.validation.catalogue import UnusableMachine


def conditions(
    study: StudyRow,
    searches: Mapping[ArmKey, SearchProgress],
    ahead: int,
    now: datetime,
    unusable: Sequence[UnusableMachine] = (),
) -> tuple[str, ...]:
    """Return the conditions of a study.

    Args:
        study: The study.
        searches: The status of each search, by (workload, arm).
        ahead: Number of studies that will be claimed before it; ignored if it is not queued.
        now: The present time.
        unusable: Machines that take no packs.
    """
    return (
        *_waiting(study, ahead, now),
        *_unusable_machines(study, unusable),
        *_range_extensions(searches),
        *_budget_cuts(searches),
        *_missing_in_mlflow(study),
    )


def _waiting(study: StudyRow, ahead: int, now: datetime) -> Iterator[str]:
    if study.state is State.QUEUED:
        yield "waits for a runner that has room" if ahead == 0 else f"waits behind {ahead} in the queue"
    if study.state is State.PAUSED and study.lease_expires_at is not None and study.lease_expires_at >= now:
        yield "its driver finishes what is in training"
    if study.state is State.RUNNING and study.waiting_for:
        yield study.waiting_for


def _unusable_machines(study: StudyRow, unusable: Sequence[UnusableMachine]) -> Iterator[str]:
    if study.state in (State.QUEUED, State.RUNNING):
        for machine in unusable:
            yield f"{machine.host} takes no packs: {machine.reason}"


def _range_extensions(searches: Mapping[ArmKey, SearchProgress]) -> Iterator[str]:
    for (workload, arm), search in searches.items():
        if len(search.rounds) > 1:
            last = search.rounds[-1].ranges
            ranges = ", ".join(f"{name} {interval.low:g} to {interval.high:g}" for name, interval in last.items())
            yield f"range extended for {arm} on {workload}: {ranges}"


def _budget_cuts(searches: Mapping[ArmKey, SearchProgress]) -> Iterator[str]:
    for (workload, arm), search in searches.items():
        if search.truncated:
            planned = search.trials_done if search.done else search.trials
            yield f"the budget leaves the search for {arm} on {workload} {planned} of {search.requested_trials} trials"


def _missing_in_mlflow(study: StudyRow) -> Iterator[str]:
    if study.mlflow_lacks > 0:
        runs = "1 run" if study.mlflow_lacks == 1 else f"{study.mlflow_lacks} runs"
        yield f"MLflow lacks {runs} of it, deleted or altered there; its report has all runs"
