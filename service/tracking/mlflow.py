"""Records a study in MLflow, as an experiment with a parent run and a nested run per run; deletes experiments."""

import csv
import logging
import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Experiment, LifecycleStage, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from studies.environment import Environment
from studies.records.rows import Outcome, Run
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

log = logging.getLogger(__name__)

#: MLflow's limit of metrics in one call.
METRICS_PER_CALL = 1000
#: Tag of an MLflow run that holds the key of the recorded run, or the study's id for the parent run.
RUN_KEY_TAG = "l4.run"
#: Tag of an experiment that holds the study's id.
STUDY_TAG = "l4.study"


class StudyTracker:
    """Records one study and its runs in MLflow.

    Args:
        uri: The tracking URI of MLflow.
        study_id: The study's id.
        spec: The study.
        experiment_id: Id of its experiment, from `create_experiment`.
    """

    def __init__(self, *, uri: str, study_id: str, spec: StudySpec, experiment_id: str) -> None:
        """Find or create the parent run."""
        self._client = MlflowClient(tracking_uri=uri)
        self._study_id, self._spec, self._experiment_id = study_id, spec, experiment_id
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

    def count_runs(self) -> int:
        """Return how many of the study's runs MLflow has now."""
        return len(self._read_recorded_runs().keys() - {self._study_id})

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
        mlflow_run_id = self._client.create_run(self._experiment_id, tags=tags, run_name=name).info.run_id
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
        return self._client.create_run(self._experiment_id, tags=tags, run_name=f"study {self._spec.name}").info.run_id

    def _read_recorded_runs(self) -> dict[str, str]:
        """Return the ids of the experiment's MLflow runs, by the value of `RUN_KEY_TAG`."""
        recorded: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs([self._experiment_id], max_results=1000, page_token=token)
            # a run without the tag was made or altered by others, and is left alone
            tagged = (run for run in page if RUN_KEY_TAG in run.data.tags)
            recorded |= {run.data.tags[RUN_KEY_TAG]: run.info.run_id for run in tagged}
            token = page.token
            if not token:
                return recorded


def create_experiment(*, uri: str, study_id: str, spec: StudySpec) -> str:
    """Create a study's experiment, and return its id.

    Where the name is taken, by another's experiment or by an empty one of a recorder that died before it saved the id,
    the new experiment gets a number after it.

    Args:
        uri: The tracking URI of MLflow.
        study_id: The study's id; it is in the experiment's name.
        spec: The study.
    """
    client = MlflowClient(tracking_uri=uri)
    name = _experiment_name(spec.name, study_id)
    number = 1
    while True:
        try:
            return client.create_experiment(name, tags={STUDY_TAG: study_id})
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
        number += 1
        name = f"{_experiment_name(spec.name, study_id)} ({number})"


def is_usable(*, uri: str, study_id: str, experiment_id: str) -> bool:
    """Return whether an experiment is the study's, and not deleted, so that runs can be recorded in it.

    Earlier versions found experiments by their names, which anybody could take first: one without the study's tag has
    to have its artifacts in its own folder of the artifacts destination of MLflow's server.

    Args:
        uri: The tracking URI of MLflow.
        study_id: The study's id.
        experiment_id: Id of the study's experiment.
    """
    experiment = _find_experiment(MlflowClient(tracking_uri=uri), experiment_id)
    if experiment is None or experiment.lifecycle_stage != LifecycleStage.ACTIVE or not _is_of(experiment, study_id):
        return False
    return STUDY_TAG in experiment.tags or _is_in_destination(experiment)


def delete_experiment(*, uri: str, study_id: str, experiment_id: str) -> None:
    """Delete a study's experiment with its runs and artifacts; what may be another's is left alone, and logged.

    MLflow only hides deleted experiments and runs until `mlflow gc`; the artifacts are deleted at once, if MLflow's
    server keeps them in the experiment's own folder of its artifacts destination.

    Args:
        uri: The tracking URI of MLflow.
        study_id: The study's id.
        experiment_id: Id of the study's experiment, as the service saved it.
    """
    client = MlflowClient(tracking_uri=uri)
    experiment = _find_experiment(client, experiment_id)
    if experiment is None or not _is_of(experiment, study_id):
        name = "is not there" if experiment is None else f"{experiment.name!r} is not of this study"
        log.warning("study %s: MLflow's experiment %s %s; nothing is deleted in MLflow", study_id, experiment_id, name)
        return
    location = experiment.artifact_location
    if _is_in_destination(experiment):
        get_artifact_repository(location, uri).delete_artifacts()
    else:
        log.warning(
            "study %s: the artifacts of MLflow's experiment %s are at %s and are left alone, since that is not the "
            "experiment's folder of the artifacts destination of MLflow's server",
            *(study_id, experiment_id, location),
        )
    if experiment.lifecycle_stage == LifecycleStage.ACTIVE:
        client.delete_experiment(experiment_id)


def _experiment_name(name: str, study_id: str) -> str:
    return f"{name} [{study_id}]"


def _find_experiment(client: MlflowClient, experiment_id: str) -> Experiment | None:
    try:
        return client.get_experiment(experiment_id)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise


def _is_of(experiment: Experiment, study_id: str) -> bool:
    """Return whether an experiment is the study's: after MLflow's database was replaced, its id may be another's."""
    # those of earlier versions have no tag
    return experiment.tags.get(STUDY_TAG) == study_id or experiment.name.endswith(_experiment_name("", study_id))


def _is_in_destination(experiment: Experiment) -> bool:
    """Return whether MLflow's server keeps an experiment's artifacts, in a folder that no request has chosen."""
    return experiment.artifact_location == f"mlflow-artifacts:/{experiment.experiment_id}"


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
