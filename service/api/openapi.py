"""A study as the API's documentation shows it."""

from typing import Any

from pydantic import BaseModel

from service.api.body import ACCEPTED

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
_DEFINITION = {"$ref": "#/components/schemas/StudyDefinition"}
#: What OpenAPI says of such a body.
POSTED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The study; YAML also as `application/x-yaml`, `text/yaml` or `text/x-yaml`.",
        "content": {
            "application/json": {"schema": _DEFINITION, "examples": {"small": {"value": STUDY_JSON}}},
            "application/yaml": {"schema": _DEFINITION, "examples": {"small": {"value": STUDY_YAML}}},
        },
    }
}


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return what OpenAPI says of a body that is read as a model, which `service.app` puts among the schemas.

    Args:
        model: The model.
        required: Whether there has to be one.
    """
    schema = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    return {"requestBody": {"required": required, "content": dict.fromkeys(ACCEPTED.split(", "), schema)}}
