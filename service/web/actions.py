"""What a caller can ask of a study as it is: the buttons of its page."""

from enum import StrEnum

from service.roles import Role
from service.states import ENDED, State
from service.storage.entities import Caller, StudyRow


class Action(StrEnum):
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
_STATES: dict[Action, tuple[State, ...]] = {
    Action.PAUSE: (State.QUEUED, State.RUNNING),
    Action.RESUME: (State.PAUSED,),
    Action.CANCEL: (State.QUEUED, State.RUNNING, State.PAUSED),
    Action.RETRY: (State.FAILED,),
    Action.CLONE: tuple(State),
    Action.ARCHIVE: ENDED,
    Action.UNARCHIVE: ENDED,
    Action.DELETE: ENDED,
}


def available_actions(study: StudyRow, caller: Caller) -> tuple[Action, ...]:
    """Return what a caller can ask of a study now, in the order of its buttons.

    Args:
        study: The study.
        caller: Who asks.
    """
    own = caller.role is Role.ADMIN or study.owner == caller.name
    put_away = Action.ARCHIVE if study.archived_at is not None else Action.UNARCHIVE
    return tuple(
        offer
        for offer, states in _STATES.items()
        if study.state in states
        and offer is not put_away
        and caller.role.includes(Role.SUBMITTER)
        and (own or offer is Action.CLONE)
    )
