"""Response models of the health checks."""

from service.schemas.problems import ResponseModel


class Health(ResponseModel):
    """Whether the service is alive.

    Args:
        status: Always `ok`; an unhealthy service responds with a problem.
    """

    status: str


class Readiness(ResponseModel):
    """Whether submitted studies are trained.

    Args:
        status: Always `ok`; a service that is not ready responds with a problem.
        unusable_machines: Why machines take no packs, with the remedy, while others do; without their names, since
            anybody may ask.
    """

    status: str
    unusable_machines: tuple[str, ...]
