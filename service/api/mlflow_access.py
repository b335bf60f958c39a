"""Who may send a request to MLflow, which has no access control of its own: the proxy asks before it passes one on."""

import re
from urllib.parse import unquote

from service.api.middleware.csrf import SAFE_METHODS
from service.errors import ForbiddenError, quote_value
from service.roles import Role
from service.storage.entities import Caller

#: What MLflow reads by POST; its GraphQL mutations are searches too. Any other request by POST is one that writes.
_READING_POST = re.compile(
    r"/mlflow/(graphql|ajax-api/3\.0/jobs/search|(ajax-)?api/[23]\.0/?mlflow/("
    r"artifacts/presigned-download-url|datasets/search|experiments/search|experiments/search-datasets|issues/search|"
    r"logged-models/search|prompt-optimization/jobs/search|registered-models/get-latest-versions|runs/search|"
    r"traces/batchGetInfos|traces/calculate-filter-correlation|traces/metrics|traces/search))"
)
_CREATE_EXPERIMENT = re.compile(r"/experiments/+create/*$")


def authorize_mlflow(caller: Caller, method: str, uri: str) -> None:
    """Return if the caller may send a request to MLflow.

    Readers may read, admins may also write. Nobody creates experiments: these name the folder in which MLflow's server
    then reads and deletes files.

    Args:
        caller: The caller.
        method: The request's method.
        uri: The request's path and query as the client sent them, from `/mlflow/` on.

    Raises:
        ForbiddenError: The caller may not.
    """
    path = uri.partition("?")[0]
    request = quote_value(f"{method} {path}")
    reads = method in SAFE_METHODS or (method == "POST" and _READING_POST.fullmatch(path) is not None)
    if not caller.role.includes(Role.READER if reads else Role.ADMIN):
        raise ForbiddenError(
            f"the key of {caller.name} is a {caller.role}'s, and {request} changes what MLflow holds, which "
            "takes an admin's key; whoever keeps the service makes one with `l4-studies keys create --role admin`"
        )
    if not reads and _CREATE_EXPERIMENT.search(unquote(path)):
        raise ForbiddenError(
            f"{request}: experiments are created by the service, one for each study, so that no request chooses "
            "an `artifact_location`; post a study to get one"
        )
