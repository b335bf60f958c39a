"""Cancelling many studies in one request, each for itself."""

from collections.abc import Iterable

from service.access import own_study
from service.asked import CANCELLABLE, MOST, CancelRequest
from service.entities import Caller
from service.errors import ForbiddenError, UnknownStudyError, WrongStateError
from service.listing import Wanted
from service.problems import problem_of
from service.roles import Role
from service.schemas import CancelAnswer, CancelledAnswer
from service.store import Store
from service.verbs import cancel


def cancel_all(store: Store, asked: CancelRequest, caller: Caller) -> CancelAnswer:
    """Cancel studies; what becomes of one changes nothing for the others.

    Args:
        store: The database.
        asked: Which ones.
        caller: Who asks; a filter finds only those that it may change.
    """
    if asked.ids:
        return CancelAnswer(studies=_cancelled(store, dict.fromkeys(asked.ids), caller), more=False)
    owner = None if caller.role is Role.ADMIN else caller.name
    wanted = Wanted(states=asked.state or CANCELLABLE, name=asked.name, owner=owner)
    # newest first: among equals a runner that has lost its study takes the oldest
    found = store.studies(MOST, wanted=wanted)
    return CancelAnswer(
        studies=_cancelled(store, [head.id for head in found.items], caller), more=found.next_cursor is not None
    )


def _cancelled(store: Store, ids: Iterable[str], caller: Caller) -> tuple[CancelledAnswer, ...]:
    return tuple(_cancel(store, study_id, caller) for study_id in ids)


def _cancel(store: Store, study_id: str, caller: Caller) -> CancelledAnswer:
    try:
        state = store.ask(own_study(study_id, store, caller), cancel)
        return CancelledAnswer(id=study_id, state=state, problem=None)
    except (UnknownStudyError, ForbiddenError, WrongStateError) as error:
        return CancelledAnswer(id=study_id, state=None, problem=problem_of(error))
