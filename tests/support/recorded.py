"""What MLflow has of a study, once it has all of it."""

import time

from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

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
