"""Cancelling many studies in one request, each for itself."""

from collections.abc import Iterable

from service.asked import CANCELLABLE, MOST, CancelRequest
from service.errors import UnknownStudyError, WrongStateError
from service.listing import Wanted
from service.problems import problem_of
from service.schemas import CancelAnswer, CancelledAnswer
from service.store import Store
from service.verbs import cancel


def cancel_all(store: Store, asked: CancelRequest) -> CancelAnswer:
    """Cancel studies; what becomes of one changes nothing for the others.

    Args:
        store: The database.
        asked: Which ones.
    """
    if asked.ids:
        return CancelAnswer(studies=_cancelled(store, dict.fromkeys(asked.ids)), more=False)
    wanted = Wanted(states=asked.state or CANCELLABLE, name=asked.name)
    # newest first: a runner that has lost its study takes the oldest that is queued
    found = store.studies(MOST, wanted=wanted)
    return CancelAnswer(
        studies=_cancelled(store, [head.id for head in found.items]), more=found.next_cursor is not None
    )


def _cancelled(store: Store, ids: Iterable[str]) -> tuple[CancelledAnswer, ...]:
    return tuple(_cancel(store, study_id) for study_id in ids)


def _cancel(store: Store, study_id: str) -> CancelledAnswer:
    try:
        return CancelledAnswer(id=study_id, state=store.ask(study_id, cancel), problem=None)
    except (UnknownStudyError, WrongStateError) as error:
        return CancelledAnswer(id=study_id, state=None, problem=problem_of(error))
