"""The actions on a study that its page offers as buttons."""

from enum import StrEnum

from service.roles import Role
from service.states import ENDED, State
from service.storage.entities import Caller, StudyRow


class Action(StrEnum):
    """An action on a study; its value is the last part of the URL, except for `delete`, a method."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    CLONE = "clone"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    DELETE = "delete"


#: The states in which each action is offered; the routes check again.
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
    """Return the actions a caller can take on a study now, in the order of the buttons.

    Args:
        study: The study.
        caller: The caller.
    """
    may_change = caller.role is Role.ADMIN or study.owner == caller.name
    hidden = Action.ARCHIVE if study.archived_at is not None else Action.UNARCHIVE
    return tuple(
        action
        for action, states in _STATES.items()
        if study.state in states
        and action is not hidden
        and caller.role.includes(Role.SUBMITTER)
        and (may_change or action is Action.CLONE)
    )
