"""What a caller can ask of a study as it is: the buttons of its page."""

from enum import StrEnum

from service.roles import Role
from service.states import ENDED, State
from service.storage.entities import Caller, StudyRow


class Offer(StrEnum):
    """Something that can be asked of a study, by the last part of its address; `delete` by its method."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    CLONE = "clone"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    DELETE = "delete"


#: In which states each is offered; the routes have the last word.
_STATES: dict[Offer, tuple[State, ...]] = {
    Offer.PAUSE: (State.QUEUED, State.RUNNING),
    Offer.RESUME: (State.PAUSED,),
    Offer.CANCEL: (State.QUEUED, State.RUNNING, State.PAUSED),
    Offer.RETRY: (State.FAILED,),
    Offer.CLONE: tuple(State),
    Offer.ARCHIVE: ENDED,
    Offer.UNARCHIVE: ENDED,
    Offer.DELETE: ENDED,
}


def offers(study: StudyRow, caller: Caller) -> tuple[Offer, ...]:
    """Return what a caller can ask of a study now, in the order of its buttons.

    Args:
        study: The study.
        caller: Who asks.
    """
    own = caller.role is Role.ADMIN or study.owner == caller.name
    put_away = Offer.ARCHIVE if study.archived_at is not None else Offer.UNARCHIVE
    return tuple(
        offer
        for offer, states in _STATES.items()
        if study.state in states
        and offer is not put_away
        and caller.role.includes(Role.SUBMITTER)
        and (own or offer is Offer.CLONE)
    )
