"""Every route of the installed MLflow: which are reading ones, so that a new one is noticed and is the admins'."""

from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts

from service.api.mlflow_access import authorize_mlflow
from service.errors import ForbiddenError
from service.roles import Role
from service.storage.entities import Caller

# from MLflow's own modules
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.heavy]

#: What reads though it is no GET. A new route of MLflow that is missing here can be used by admins only.
READING = {
    "POST /ajax-api/2.0/mlflow/experiments/search-datasets",
    "POST /ajax-api/3.0/jobs/search",
    "POST /graphql",
} | {
    f"POST /{api}/{route}"
    for api in ("api", "ajax-api")
    for route in (
        "2.0/mlflow/artifacts/presigned-download-url",
        "2.0/mlflow/experiments/search",
        "2.0mlflow/experiments/search-datasets",
        "2.0/mlflow/logged-models/search",
        "2.0/mlflow/registered-models/get-latest-versions",
        "2.0/mlflow/runs/search",
        "3.0/mlflow/datasets/search",
        "3.0/mlflow/issues/search",
        "3.0/mlflow/prompt-optimization/jobs/search",
        "3.0/mlflow/traces/batchGetInfos",
        "3.0/mlflow/traces/calculate-filter-correlation",
        "3.0/mlflow/traces/metrics",
        "3.0/mlflow/traces/search",
    )
}


def mlflow_routes() -> Iterator[str]:
    """Return the methods and paths of MLflow's server, without its prefix."""
    from mlflow.server import app
    from mlflow.server.fastapi_app import create_fastapi_app

    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            yield f"{method} {rule.rule}"
    for route in iter_route_contexts(create_fastapi_app(app).routes):
        for method in route.methods or ():
            yield f"{method} {route.path}"


def may(role: Role, name: str) -> bool:
    method, path = name.split(" ", 1)
    try:
        authorize_mlflow(Caller(key_id="1", name="somebody", role=role), method, f"/mlflow{path}")
    except ForbiddenError:
        return False
    return True


def test_who_may_use_every_route_of_mlflow() -> None:
    routes = set(mlflow_routes())
    assert len(routes) > 400
    assert routes >= READING
    for name in sorted(routes):
        reads = name in READING or name.split(" ")[0] in {"GET", "HEAD", "OPTIONS"}
        creates = name.startswith("POST") and name.endswith("mlflow/experiments/create")
        assert may(Role.READER, name) == may(Role.SUBMITTER, name) == reads, name
        assert may(Role.ADMIN, name) == (not creates), name


def test_mlflows_graphql_changes_nothing() -> None:
    from mlflow.server.graphql.graphql_schema_extensions import schema

    mutations = schema.graphql_schema.mutation_type
    assert mutations is not None
    # searches and an echo; a mutation that writes has to be the admins'
    assert set(mutations.fields) == {"mlflowSearchDatasets", "mlflowSearchRuns", "testMutation"}
