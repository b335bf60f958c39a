"""Who may ask what: the table of all routes, and of requests to MLflow, by kind of caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.api.openapi import STUDY_JSON


class As(StrEnum):
    """A kind of caller."""

    NOBODY = "without a key"
    WRONG = "with a wrong secret"
    REVOKED = "with a revoked key"
    READER = "as a reader"
    OWNER = "as the submitter that owns the study"
    OTHER = "as another submitter"
    ADMIN = "as an admin"


EVERYBODY = frozenset(As)
READERS = frozenset({As.READER, As.OWNER, As.OTHER, As.ADMIN})
SUBMITTERS = READERS - {As.READER}
OWNERS = SUBMITTERS - {As.OTHER}
ADMINS = frozenset({As.ADMIN})


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a route does with its callers.

    Args:
        who: May ask it; the others are answered 401 without a valid key, 403 with one.
        status: Of the answer to them, of a study that is queued.
        json: The body to ask it with.
        headers: Further headers to ask it with.
    """

    who: frozenset[As]
    status: int = 200
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


#: A new route needs a row here.
TABLE = {
    "GET /healthz": Row(who=EVERYBODY),
    "GET /readyz": Row(who=EVERYBODY),
    "GET /login": Row(who=EVERYBODY),
    "POST /login": Row(who=EVERYBODY, status=401),
    "POST /logout": Row(who=EVERYBODY, status=303),
    "GET /static/{file}": Row(who=EVERYBODY),
    "GET /favicon.ico": Row(who=EVERYBODY),
    "GET /caller": Row(who=READERS),
    "GET /caller/mlflow": Row(who=READERS, headers={"X-Original-Method": "GET", "X-Original-URI": "/mlflow/"}),
    "GET /": Row(who=READERS),
    "GET /pages/new": Row(who=READERS),
    "GET /pages/studies/{study_id}": Row(who=READERS),
    "GET /pages/studies/{study_id}/now": Row(who=READERS),
    "GET /studies/{study_id}/workloads/{workload}/curves": Row(who=READERS),
    "GET /docs": Row(who=READERS),
    "GET /openapi.json": Row(who=READERS),
    "GET /workloads": Row(who=READERS),
    "GET /optimizers": Row(who=READERS),
    "GET /studies": Row(who=READERS),
    "POST /studies": Row(who=SUBMITTERS, status=202, json=STUDY_JSON),
    "GET /queue": Row(who=READERS),
    "GET /studies/{study_id}": Row(who=READERS),
    "GET /studies/{study_id}/runs": Row(who=READERS),
    "GET /studies/{study_id}/runs/{run_id}": Row(who=READERS, status=404),
    "GET /studies/{study_id}/logs": Row(who=READERS),
    "GET /studies/{study_id}/logs/events": Row(who=READERS),
    "GET /studies/{study_id}/runs/{run_id}/logs": Row(who=READERS, status=404),
    "GET /metrics": Row(who=READERS),
    "GET /webhooks": Row(who=ADMINS),
    "POST /webhooks": Row(who=ADMINS, status=201, json={"url": "https://example.org/"}),
    "DELETE /webhooks/{webhook_id}": Row(who=ADMINS, status=404),
    "POST /webhooks/{webhook_id}/test": Row(who=ADMINS, status=404),
    "GET /studies/{study_id}/events": Row(who=READERS),
    "GET /studies/{study_id}/report": Row(who=READERS),
    "GET /studies/{study_id}/report.{form}": Row(who=READERS),
    "GET /studies/{study_id}/report/{figure}.{image}": Row(who=READERS),
    "GET /studies/{study_id}/bundle": Row(who=READERS),
    "GET /reports": Row(who=READERS, status=422),
    "GET /reports/schema": Row(who=READERS),
    "POST /studies/{study_id}/clone": Row(who=SUBMITTERS, status=202),
    "POST /studies/plan": Row(who=READERS, json=STUDY_JSON),
    "POST /studies/cancel": Row(who=SUBMITTERS, json={"ids": ["0" * 20]}),
    "POST /studies/{study_id}/archive": Row(who=OWNERS, status=409),
    "POST /studies/{study_id}/unarchive": Row(who=OWNERS, status=409),
    "DELETE /studies/{study_id}": Row(who=OWNERS, status=409),
    "POST /studies/{study_id}/pause": Row(who=OWNERS),
    "POST /studies/{study_id}/resume": Row(who=OWNERS),
    "POST /studies/{study_id}/cancel": Row(who=OWNERS),
    "POST /studies/{study_id}/retry": Row(who=OWNERS),
}
NOBODY = frozenset[As]()
#: Who may send what to MLflow; tests/conformance/api/test_mlflow_access.py has every route of MLflow.
MLFLOW_TABLE = {
    "GET /mlflow/": READERS,
    "HEAD /mlflow/": READERS,
    "GET /mlflow/static-files/manifest.json": READERS,
    "GET /mlflow/get-artifact?path=report/report.html&run_uuid=1": READERS,
    "GET /mlflow/api/2.0/mlflow/runs/get?run_id=1": READERS,
    "GET /mlflow/api/2.0/mlflow-artifacts/artifacts/1/2/artifacts/parameters.pt": READERS,
    "POST /mlflow/api/2.0/mlflow/experiments/search": READERS,
    "POST /mlflow/ajax-api/2.0/mlflow/experiments/search-datasets": READERS,
    "POST /mlflow/ajax-api/2.0/mlflow/runs/search?a=1": READERS,
    "POST /mlflow/ajax-api/3.0/mlflow/traces/search": READERS,
    "POST /mlflow/graphql": READERS,
    "POST /mlflow/api/2.0/mlflow/experiments/update": ADMINS,
    "POST /mlflow/api/2.0/mlflow/experiments/delete": ADMINS,
    "POST /mlflow/ajax-api/2.0/mlflow/experiments/delete": ADMINS,
    "POST /mlflow/api/2.0/mlflow/experiments/delete?/mlflow/api/2.0/mlflow/experiments/search": ADMINS,
    "POST /mlflow/api/2.0/mlflow/experiments/delete#/search": ADMINS,
    "POST /mlflow/api/2.0/mlflow/runs/search/../delete": ADMINS,
    "POST /mlflow/api/2.0/mlflow/runs/create": ADMINS,
    "POST /mlflow/api/2.0/mlflow/runs/log-batch": ADMINS,
    "POST /mlflow/api/2.0/mlflow/runs/set-tag": ADMINS,
    "POST /mlflow/api/2.0/mlflow/runs/delete-tag": ADMINS,
    "POST /mlflow/api/2.0/mlflow/runs/delete": ADMINS,
    "POST /mlflow/api/2.0/mlflow/runs/delete%3F/search": ADMINS,
    "POST /mlflow/ajax-api/2.0/mlflow/upload-artifact?path=a&run_uuid=1": ADMINS,
    "PUT /mlflow/api/2.0/mlflow-artifacts/artifacts/1/2/artifacts/a.txt": ADMINS,
    "DELETE /mlflow/api/2.0/mlflow-artifacts/artifacts/1": ADMINS,
    "DELETE /mlflow/api/2.0/mlflow/registered-models/delete": ADMINS,
    "PATCH /mlflow/api/2.0/mlflow/traces/1/tags": ADMINS,
    "POST /mlflow/v1/traces": ADMINS,
    "POST /mlflow/nothing": ADMINS,
    "POST /mlflow/api/2.0/mlflow/experiments/create": NOBODY,
    "POST /mlflow/ajax-api/2.0/mlflow/experiments/create": NOBODY,
    "POST /mlflow/api/2.0/mlflow/experiments/%63reate?a=1": NOBODY,
    "POST /mlflow/api/2.0/mlflow//experiments//create/": NOBODY,
}
#: What the parameters in paths stand for, beside the study.
PARAMETERS = {
    "workload": "digits_mlp",
    "file": "pages.css",
    "form": "json",
    "figure": "curves",
    "image": "svg",
    "run_id": "0-0",
    "webhook_id": "0" * 20,
}
