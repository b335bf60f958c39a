"""The body of an error response (RFC 9457), shared with the client."""

from pydantic import BaseModel, ConfigDict


class ResponseModel(BaseModel):
    """A frozen answer of the HTTP service."""

    model_config = ConfigDict(frozen=True)


class FaultResponse(ResponseModel):
    """One thing wrong with a body.

    Args:
        pointer: Where, as a JSON pointer.
        detail: What, with the value and the remedy.
    """

    pointer: str
    detail: str


class Problem(ResponseModel):
    """An error, as RFC 9457 has it.

    Args:
        type: A URI that names the kind of problem.
        title: The kind in words.
        status: The HTTP status.
        detail: What happened and what to do about it.
        faults: Everything wrong with a body, where that is the problem.
    """

    type: str
    title: str
    status: int
    detail: str
    faults: tuple[FaultResponse, ...] = ()
