"""A service that is stopped in the middle of a study and started again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from service.cli.serve import run_service
from service.client.client import Client
from service.settings import Settings
from service.states import State
from tests.support.recorded import mlflow_runs

pytestmark = pytest.mark.slow

STUDY: dict[str, Any] = {
    "name": "interrupted",
    "workloads": [{"name": "digits_mlp", "steps": 300}],
    "arms": [{"name": "l4mom"}, {"name": "adam", "search": {"lr": {"low": 1e-3, "high": 1e-1}}}],
    "protocol": {"sampler": "random", "trials": 4, "batch": 1, "confirm_seeds": 3},
}


def test_goes_on_where_it_was(
    settings_of: Callable[[Path], Settings], comparable: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    settings = settings_of(tmp_path)
    with run_service(settings, Console(quiet=True)), Client(settings.url) as client:
        study_id = client.submit(STUDY).id
        look = next(look for look in client.watch(study_id) if look.progress.done >= 2)
        assert look.state is State.RUNNING
    with run_service(settings, Console(quiet=True)), Client(settings.url) as client:
        undisturbed = client.submit(STUDY).id
        *_, ended = client.watch(study_id)
        assert ended.state is State.SUCCEEDED
        runs = list(client.runs(study_id))
        assert ended.progress.done == ended.progress.total == len(runs)
        *_, other = client.watch(undisturbed)
        assert other.state is State.SUCCEEDED
        assert list(client.runs(undisturbed)) == runs
        assert comparable(client.report(undisturbed)) == comparable(client.report(study_id))
    with run_service(settings, Console(quiet=True)):  # MLflow may have been behind
        recorded = [run.data.tags["l4.run"] for run in mlflow_runs(settings, study_id)]
        assert len(recorded) == len(set(recorded)) == 1 + len(runs)
