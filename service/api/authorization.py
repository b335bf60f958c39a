"""Dependencies that restrict a route to roles. Every route has one; a test fails for a route without.

`service.api.middleware.authentication` identifies the caller before a route is chosen. A route,
or a whole router, declares

    dependencies=[Depends(RequireRole(Role.READER))]      any valid key
    dependencies=[Depends(RequireRole(Role.SUBMITTER))]   a key that may change something
    dependencies=[Depends(allow_anonymous)]               no key; the path is also listed in `middleware.authentication`

A route that changes a study takes its id as `OwnStudyId` instead of `StudyId`, which rejects submitters that do not
own the study. A route that needs the caller takes `CallerDep`; without access control, that is an admin without a name.
A route declares its errors with `service.api.problems.problem_responses`. Its roles are listed in
tests/conformance/api/routes_by_role.py.
"""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from service.api.dependencies import StoreDep, StudyId
from service.auth.api_key import KEY_FORMAT
from service.errors import ForbiddenError
from service.roles import Role
from service.storage.entities import Caller

#: Only documents the scheme in the OpenAPI document; the middleware has checked the key.
_SCHEME = HTTPBearer(
    scheme_name="key",
    bearerFormat=KEY_FORMAT,
    description="An API key, created by an administrator with `l4-studies keys create`.",
    auto_error=False,
)


def _caller(request: Request, _scheme: Annotated[object, Security(_SCHEME)]) -> Caller:
    return cast(Caller, request.state.caller)


CallerDep = Annotated[Caller, Depends(_caller)]


def _client(request: Request, caller: CallerDep) -> str:
    return caller.key_id or ("" if request.client is None else request.client.host)


#: What a client is counted by: its key or, where no keys are needed, its address.
ClientDep = Annotated[str, Depends(_client)]


@dataclass(frozen=True)
class RequireRole:
    """A dependency that rejects callers of a lower role.

    Args:
        role: The lowest role that may use the route.
    """

    role: Role

    async def __call__(self, caller: CallerDep) -> None:
        """Return if the caller's role is high enough.

        Raises:
            ForbiddenError: The role is too low.
        """
        if not caller.role.includes(self.role):
            raise ForbiddenError(
                f"the key of {caller.name} is a {caller.role}'s, and this takes a {self.role}'s; "
                f"who keeps the service makes one with `l4-studies keys create --role {self.role}`"
            )


async def allow_anonymous() -> None:
    """Declare that a route needs no key; the dependency itself checks nothing."""


def require_own_study(study_id: StudyId, store: StoreDep, caller: CallerDep) -> str:
    """Return the id of a study if the caller may change it.

    Args:
        study_id: The study.
        store: The database.
        caller: The caller.

    Raises:
        UnknownStudyError: There is no such study.
        ForbiddenError: The study belongs to another owner.
    """
    if caller.role is not Role.ADMIN:
        owner = store.study(study_id).owner
        if owner != caller.name:
            whose = "nobody's" if owner is None else f"{owner}'s"
            raise ForbiddenError(
                f"study {study_id} is {whose}, and the key of {caller.name} changes its own studies only; "
                "use its owner's key or an admin's"
            )
    return study_id


#: The id of a study that the caller may change.
OwnStudyId = Annotated[str, Depends(require_own_study)]
