"""Response model of the caller."""

from service.roles import Role
from service.schemas.problems import ResponseModel


class CallerResponse(ResponseModel):
    """The caller of a request.

    Args:
        name: The API key's name; None if no key is needed.
        role: The caller's role.
        key_id: The id of the API key of the request or of the browser's session; None if no key is needed.
    """

    name: str | None
    role: Role
    key_id: str | None
