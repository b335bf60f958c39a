"""What MLflow has of a study, once it has all of it."""

import time
from collections.abc import Sequence

from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

from service.client.client import Client
from service.settings import Settings


def mlflow_runs(settings: Settings, study_id: str) -> list[MlflowRun]:
    """Wait until MLflow has all of a study that has ended, and return its MLflow runs, the parent first.

    Args:
        settings: Of the service, which runs.
        study_id: The study.
    """
    tracking = MlflowClient(settings.tracking_uri)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for experiment in tracking.search_experiments(filter_string=f"name LIKE '%{study_id}%'"):
            found = list(tracking.search_runs([experiment.experiment_id], max_results=1000))
            found.sort(key=lambda run: "mlflow.parentRunId" in run.data.tags)
            if found and found[0].info.status != "RUNNING":
                return found
        time.sleep(0.2)
    raise AssertionError(f"MLflow does not have all of study {study_id}")


def runs_through_proxy(client: Client, study_id: str) -> list[MlflowRun]:
    """Return a study's MLflow runs as a user of the service finds them, at `/mlflow`, the parent first.

    Args:
        client: Of the service; `MLFLOW_TRACKING_TOKEN` has its key.
        study_id: The study.
    """
    return mlflow_runs(Settings(mlflow_uri=f"{client.url}/mlflow"), study_id)


def run_keys(runs: Sequence[MlflowRun]) -> list[str]:
    """Return what the MLflow runs of a study stand for: the study, or one of its runs.

    Args:
        runs: The MLflow runs.
    """
    return sorted(run.data.tags["l4.run"] for run in runs)
