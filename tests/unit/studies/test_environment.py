"""What a study runs on is recorded as it is."""

import os
import platform
from importlib.metadata import version

from studies.environment import Environment, current_environment


def test_names_versions_commit_and_hardware() -> None:
    found = current_environment()
    assert found.versions["python"] == platform.python_version()
    assert all(found.versions[name] == version(name) for name in ("torch", "optuna", "ray", "mlflow"))
    assert f"{os.cpu_count()} cores" in found.hardware
    assert Environment.model_validate_json(found.model_dump_json()) == found
