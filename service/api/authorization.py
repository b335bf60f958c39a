"""Which roles may use a route. Every route declares it, and a test fails for one that does not.

`service.api.middleware.authentication` identifies the caller before a route is chosen. A route,
or a whole router, declares

    dependencies=[Depends(needs(Role.READER))]      what any key may ask
    dependencies=[Depends(needs(Role.SUBMITTER))]   what changes something
    dependencies=[Depends(open_to_all)]             what needs no key; its path is also in `authentication.OPEN_PATHS`

One that changes a study takes its id as an `OwnStudyId` in place of a `StudyId`, which refuses submitters that do not
own it. One that has to know who asks takes `CallerGiven`; where no key is needed, that is an admin without a name.
Its answers are declared by `service.api.problems.documented`, its roles in tests/conformance/api/test_authorization.py.
"""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from service.api.dependencies import StoreGiven, StudyId
from service.auth.api_key import FORM
from service.errors import ForbiddenError
from service.roles import Role
from service.storage.entities import Caller

#: Only says in the OpenAPI document what the guard has looked at.
_SCHEME = HTTPBearer(
    scheme_name="key",
    bearerFormat=FORM,
    description="An API key, made by who keeps the service with `l4-studies keys create`.",
    auto_error=False,
)


def _caller(request: Request, _scheme: Annotated[object, Security(_SCHEME)]) -> Caller:
    return cast(Caller, request.state.caller)


CallerGiven = Annotated[Caller, Depends(_caller)]


@dataclass(frozen=True)
class Needs:
    """A dependency that refuses callers of a lower role.

    Args:
        role: The lowest role that may ask.
    """

    role: Role

    async def __call__(self, caller: CallerGiven) -> None:
        """Return if the caller's role is high enough.

        Raises:
            ForbiddenError: It is not.
        """
        if not caller.role.includes(self.role):
            raise ForbiddenError(
                f"the key of {caller.name} is a {caller.role}'s, and this takes a {self.role}'s; "
                f"who keeps the service makes one with `l4-studies keys create --role {self.role}`"
            )


def needs(role: Role) -> Needs:
    """Return the dependency by which a route declares the lowest role that may ask it.

    Args:
        role: The role.
    """
    return Needs(role)


async def open_to_all() -> None:
    """Declare that a route needs no key."""


def own_study(study_id: StudyId, store: StoreGiven, caller: CallerGiven) -> str:
    """Return the id of a study that the caller may change.

    Args:
        study_id: The study.
        store: The database.
        caller: Who asks.

    Raises:
        UnknownStudyError: There is no such study.
        ForbiddenError: It is another one's.
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
OwnStudyId = Annotated[str, Depends(own_study)]
