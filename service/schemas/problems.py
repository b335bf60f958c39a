"""Problem details: the body of an error response (RFC 9457)."""

from pydantic import BaseModel, ConfigDict

PROBLEM_MEDIA_TYPE = "application/problem+json"
#: The kind of problem that a service has whose runner is active, and whose machines all cannot train.
NO_MACHINE = "no-machine"


class ResponseModel(BaseModel):
    """Base of all response models; immutable."""

    model_config = ConfigDict(frozen=True)


class FaultResponse(ResponseModel):
    """A fault of a request body.

    Args:
        pointer: The position, as a JSON pointer.
        detail: The fault, with the value and how to fix it.
    """

    pointer: str
    detail: str


class Problem(ResponseModel):
    """Problem details of an error (RFC 9457).

    Args:
        type: A URI that identifies the kind of problem.
        title: A short description of the kind.
        status: The HTTP status.
        detail: What happened and how to fix it.
        faults: All faults of the body, if it has any.
    """

    type: str
    title: str
    status: int
    detail: str
    faults: tuple[FaultResponse, ...] = ()


def problem_type(name: str) -> str:
    """Return the URI of a kind of problem.

    Args:
        name: Its last part.
    """
    return f"urn:l4-studies:problem:{name}"
