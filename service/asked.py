"""What requests ask for in their bodies, besides studies: read as strictly, all faults named at once."""

from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import InvalidBodyError
from service.posted import Posted
from service.schemas import FaultAnswer
from service.states import State
from service.storable import NO_NUL
from studies.resolve import pointer
from studies.spec import Title

Kind = TypeVar("Kind", bound=BaseModel)

#: Studies that one request cancels at most.
MOST = 1000
#: States that a cancellation leads out of.
CANCELLABLE = (State.QUEUED, State.RUNNING, State.PAUSED)


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CloneRequest(_Asked):
    """What a clone has of its own.

    Args:
        name: Its title; the same where not given.
    """

    name: Title | None = None


class CancelRequest(_Asked):
    """Which studies to cancel: some, or all that a filter finds among those that are queued, running or paused.

    Args:
        ids: Their ids.
        state: Those in one of these states.
        name: Those that have it in their name, in capitals or not.
    """

    ids: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=MOST)
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


def read(kind: type[Kind], posted: Posted) -> Kind:
    """Return what a body asks for.

    Args:
        kind: The model.
        posted: The body.

    Raises:
        BadBodyError: It cannot be read.
        InvalidBodyError: It has faults; all are named.
    """
    try:
        return kind.model_validate(posted.parse())
    except ValidationError as error:
        raise InvalidBodyError(
            [
                FaultAnswer(pointer=pointer(*item["loc"]), detail=f"{item['msg']} (got {_shown(item['input'])})")
                for item in error.errors(include_url=False, include_context=False)
            ]
        ) from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
