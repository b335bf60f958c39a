"""Request models of cloning and cancelling, and limits of request parameters."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.states import State
from studies.spec.definition import Title

#: Pattern of text without NUL characters, which PostgreSQL can neither store nor query.
NO_NUL = r"^[^\x00]*$"
#: Maximum number of studies that one request cancels.
MAX_CANCELLED = 1000
#: States in which a study can be cancelled.
CANCELLABLE = (State.QUEUED, State.RUNNING, State.PAUSED)


class RequestModel(BaseModel):
    """Base of all request models; immutable, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CloneRequest(RequestModel):
    """How a clone differs from its original.

    Args:
        name: The clone's name; the same name if not given.
    """

    name: Title | None = None


class CancelRequest(RequestModel):
    """Which studies to cancel: by ids, or by a filter among queued, running and paused studies.

    Args:
        ids: The ids.
        state: Only studies in one of these states.
        name: Only studies whose name contains this text, case-insensitive.
    """

    ids: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=MAX_CANCELLED)
    state: tuple[State, ...] = Field(default=(), max_length=len(CANCELLABLE))
    name: str = Field(default="", max_length=100, pattern=NO_NUL)

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        if bool(self.ids) == bool(self.state or self.name):
            raise ValueError("give ids, or else state, name or both")
        ended = [state for state in self.state if state not in CANCELLABLE]
        if ended:
            raise ValueError(f"{', '.join(ended)}: none of these is cancelled; give {', '.join(CANCELLABLE)}")
        return self
