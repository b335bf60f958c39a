"""Response models of the queue."""

from service.schemas.problems import ResponseModel


class QueuedResponse(ResponseModel):
    """A study in the queue.

    Args:
        id: Its id.
        name: Its name.
        owner: Name of the API key it was submitted with; None if none was needed.
        priority: Studies of higher priority are claimed first.
    """

    id: str
    name: str
    owner: str | None
    priority: int


class QueueResponse(ResponseModel):
    """The queue.

    Args:
        total: Number of studies in it.
        studies: The first of them, in the order in which they will be claimed.
    """

    total: int
    studies: tuple[QueuedResponse, ...]
