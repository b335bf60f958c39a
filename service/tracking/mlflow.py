"""Records a study in MLflow, as an experiment with a parent run and a nested run per run; deletes experiments."""

import csv
import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Metric, Param
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from studies.environment import Environment
from studies.records.rows import Outcome, Run
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

#: MLflow's limit of metrics in one call.
METRICS_PER_CALL = 1000
#: Tag of an MLflow run that holds the key of the recorded run, or the study's id for the parent run.
RUN_KEY_TAG = "l4.run"


class StudyTracker:
    """Records one study and its runs in MLflow.

    Args:
        uri: The tracking URI of MLflow.
        study_id: The study's id; the experiment's name ends with it.
        spec: The study.
    """

    def __init__(self, *, uri: str, study_id: str, spec: StudySpec) -> None:
        """Find or create the experiment and its parent run."""
        self._client = MlflowClient(tracking_uri=uri)
        self._study_id, self._spec = study_id, spec
        name = f"{spec.name} [{study_id}]"
        experiment = self._client.get_experiment_by_name(name)
        self.experiment_id: str = experiment.experiment_id if experiment else self._client.create_experiment(name)
        # runs of an earlier recorder, including the one that it was recording when it stopped
        self._recorded = self._read_recorded_runs()
        self._parent = self._open_parent()

    def describe(self, environment: Environment) -> None:
        """Record the spec and the environment.

        Args:
            environment: Versions, commit, hardware.
        """
        self._client.log_text(self._parent, self._spec.model_dump_json(indent=2), "spec.json")
        self._client.log_text(self._parent, environment.model_dump_json(indent=2), "environment.json")

    def close(self, files: Mapping[str, bytes], status: str) -> None:
        """End the parent run.

        Args:
            files: The report's files by name; empty if there is no report.
            status: MLflow's `FINISHED`, `FAILED` or `KILLED`.
        """
        if files:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in files.items():
                    Path(folder, name).write_bytes(content)
                self._client.log_artifacts(self._parent, folder, "report")
        self._client.set_terminated(self._parent, status)

    def record(self, run: Run, setting: Mapping[str, float], parameters: Path) -> None:
        """Record a run; an incomplete record by an earlier recorder is deleted first.

        Args:
            run: The run, with its series.
            setting: Every hyperparameter of its trial by name.
            parameters: The file of a confirm run's final parameters.
        """
        key = _run_key(run)
        previous = self._recorded.pop(key, None)
        if previous is not None:
            self._client.delete_run(previous)
        tags = self._tags() | {
            MLFLOW_PARENT_RUN_ID: self._parent,
            RUN_KEY_TAG: key,
            "arm": run.arm,
            "workload": run.workload,
            "stage": run.stage.value,
            "trial": str(run.trial),
            "seed": str(run.seed),
            "outcome": run.outcome.value,
        }
        name = f"{run.workload} {run.arm} {run.stage} trial {run.trial:03d} seed {run.seed:04d}"
        mlflow_run_id = self._client.create_run(self.experiment_id, tags=tags, run_name=name).info.run_id
        metrics = _finite_metrics(run)
        for start in range(0, max(1, len(metrics)), METRICS_PER_CALL):
            part = metrics[start : start + METRICS_PER_CALL]
            self._client.log_batch(mlflow_run_id, part, self._params(run, setting) if start == 0 else ())
        if run.stage is Stage.CONFIRM:
            self._attach(mlflow_run_id, run, parameters)
        self._client.set_terminated(mlflow_run_id)

    def _attach(self, mlflow_run_id: str, run: Run, parameters: Path) -> None:
        """Attach a confirm run's series and final parameters."""
        with tempfile.TemporaryDirectory() as folder:
            with Path(folder, "series.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["series", "step", "value"])
                for series in run.series:
                    writer.writerows(
                        [series.name, step, value] for step, value in zip(series.steps, series.values, strict=True)
                    )
            Path(folder, parameters.name).symlink_to(parameters.absolute())
            self._client.log_artifacts(mlflow_run_id, folder)

    def _params(self, run: Run, setting: Mapping[str, float]) -> list[Param]:
        workload = self._spec.workload(run.workload)
        values: dict[str, object] = dict(setting)
        values |= {f"workload.{name}": value for name, value in workload.options.items()}
        values |= {"optimizer": self._spec.arm(run.arm).optimizer, "steps": workload.length(run.stage)}
        return [Param(key, str(value)) for key, value in sorted(values.items())]

    def _tags(self) -> dict[str, str]:
        return {"study": self._study_id, "spec_hash": self._spec.content_hash}

    def _open_parent(self) -> str:
        previous = self._recorded.pop(self._study_id, None)
        if previous is not None:
            self._client.update_run(previous, status="RUNNING")  # it has ended if the study was retried
            return previous
        tags = self._tags() | {RUN_KEY_TAG: self._study_id}
        return self._client.create_run(self.experiment_id, tags=tags, run_name=f"study {self._spec.name}").info.run_id

    def _read_recorded_runs(self) -> dict[str, str]:
        """Return the ids of the experiment's MLflow runs, by the value of `RUN_KEY_TAG`."""
        recorded: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs([self.experiment_id], max_results=1000, page_token=token)
            recorded |= {run.data.tags[RUN_KEY_TAG]: run.info.run_id for run in page}
            token = page.token
            if not token:
                return recorded


def delete_experiment(*, uri: str, study_id: str) -> None:
    """Delete a study's experiment with its runs and artifacts; does nothing if there is none.

    MLflow only hides deleted experiments and runs until `mlflow gc`; the artifacts are deleted at once.

    Args:
        uri: The tracking URI of MLflow.
        study_id: The study's id.
    """
    client = MlflowClient(tracking_uri=uri)
    for experiment in client.search_experiments(filter_string=f"name LIKE '%[{study_id}]'"):
        get_artifact_repository(experiment.artifact_location, uri).delete_artifacts()
        client.delete_experiment(experiment.experiment_id)


def _run_key(run: Run) -> str:
    return f"{run.workload}/{run.arm}/{run.stage}/{run.trial}/{run.seed}"


def _finite_metrics(run: Run) -> list[Metric]:
    """Return a run's series and final values, without infinities, which MLflow does not store."""
    now = int(time.time() * 1000)
    points = [
        Metric(series.name, value, now, step)
        for series in run.series
        for step, value in zip(series.steps, series.values, strict=True)
    ]
    # a stopped run's last values are from fewer steps: sorted by them, MLflow's table would mislead
    final = {} if run.outcome is Outcome.STOPPED else {"train_loss": run.train_loss, **run.metrics}
    points += [Metric(f"final_{name}", value, now, run.steps) for name, value in final.items()]
    return [point for point in points if math.isfinite(point.value)]
