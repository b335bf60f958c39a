"""Request bodies of clone and cancel, shared with the client."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.states import State
from studies.spec.definition import Title

#: PostgreSQL holds no text with a NUL, and refuses to look for one.
NO_NUL = r"^[^\x00]*$"
#: Studies that one request cancels at most.
MAX_CANCELLED = 1000
#: States that a cancellation leads out of.
CANCELLABLE = (State.QUEUED, State.RUNNING, State.PAUSED)


class _RequestModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CloneRequest(_RequestModel):
    """What a clone has of its own.

    Args:
        name: Its title; the same where not given.
    """

    name: Title | None = None


class CancelRequest(_RequestModel):
    """Which studies to cancel: some, or all that a filter finds among those that are queued, running or paused.

    Args:
        ids: Their ids.
        state: Those in one of these states.
        name: Those that have it in their name, in capitals or not.
    """

    ids: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=MAX_CANCELLED)
    state: tuple[State, ...] = Field(default=(), max_length=len(CANCELLABLE))
    name: str = Field(default="", max_length=100, pattern=NO_NUL)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.ids) == bool(self.state or self.name):
            raise ValueError("give ids, or else state, name or both")
        ended = [state for state in self.state if state not in CANCELLABLE]
        if ended:
            raise ValueError(f"{', '.join(ended)}: none of these is cancelled; give {', '.join(CANCELLABLE)}")
        return self
