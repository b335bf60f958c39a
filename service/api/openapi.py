"""The OpenAPI document: request bodies, an example study, and what FastAPI's own document lacks."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.body import ACCEPTED_MEDIA_TYPES
from service.schemas.problems import Problem
from service.schemas.requests import CancelRequest, CloneRequest
from service.schemas.webhooks import WebhookRequest
from studies.spec.definition import StudyDefinition

STUDY_JSON: dict[str, object] = {
    "name": "L4 against tuned SGD",
    "workloads": [{"name": "linear_regression", "steps": 200}, {"name": "digits_mlp", "epochs": 5}],
    "arms": [
        {"name": "l4adam"},
        {"name": "sgd", "search": {"lr": {"low": 0.001, "high": 1.0}}},
    ],
    "protocol": {"objective": "train_loss", "sampler": "grid", "trials": 8, "confirm_seeds": 8},
}
STUDY_YAML = """\
name: L4 against tuned SGD
workloads:
  - name: linear_regression
    steps: 200
  - name: digits_mlp
    epochs: 5
arms:
  - name: l4adam
  - name: sgd
    search:
      lr: {low: 1e-3, high: 1.0}
protocol:
  objective: train_loss
  sampler: grid
  trials: 8
  confirm_seeds: 8
"""
_STUDY_SCHEMA = {"$ref": "#/components/schemas/StudyDefinition"}
#: `openapi_extra` of a route whose body is a study.
STUDY_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The study; YAML also as `application/x-yaml`, `text/yaml` or `text/x-yaml`.",
        "content": {
            "application/json": {"schema": _STUDY_SCHEMA, "examples": {"small": {"value": STUDY_JSON}}},
            "application/yaml": {"schema": _STUDY_SCHEMA, "examples": {"small": {"value": STUDY_YAML}}},
        },
    }
}
#: Models of bodies that routes parse themselves, so that FastAPI does not know them.
_REQUEST_MODELS = (StudyDefinition, CloneRequest, CancelRequest, WebhookRequest)


def request_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that parses its body as a model.

    Args:
        model: The model, one of `_REQUEST_MODELS`.
        required: Whether the body is required.
    """
    schema = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    return {"requestBody": {"required": required, "content": dict.fromkeys(ACCEPTED_MEDIA_TYPES.split(", "), schema)}}


def build_openapi(app: FastAPI, *, needs_keys: bool) -> dict[str, Any]:
    """Return the OpenAPI document of the application: FastAPI's, corrected and completed.

    Args:
        app: The application, with all its routes.
        needs_keys: Whether requests need an API key.
    """
    document = get_openapi(title=app.title, summary=app.summary, version=app.version, routes=app.routes)
    schemas = document["components"]["schemas"]
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        if "security" in operation and not needs_keys:
            operation["security"].append({})  # an empty requirement makes the key optional
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]  # an invalid path parameter is a 404 here
    del schemas["HTTPValidationError"], schemas["ValidationError"]
    schemas |= models_json_schema(
        [*((model, "validation") for model in _REQUEST_MODELS), (Problem, "serialization")],
        ref_template="#/components/schemas/{model}",
    )[1]["$defs"]
    return document
