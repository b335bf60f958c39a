"""Response model of the health checks."""

from service.schemas.problems import ResponseModel


class Health(ResponseModel):
    """Whether the service is alive or ready.

    Args:
        status: Always `ok`; an unhealthy service responds with a problem.
    """

    status: str
