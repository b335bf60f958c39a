"""Recording a study in MLflow: an experiment, a parent run and a nested run per run, written behind the training."""

import csv
import logging
import math
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from studies.environment import Environment
from studies.rows import Ledger, Run, Stage
from studies.spec import StudySpec
from studies.weights import Weights

log = logging.getLogger(__name__)

#: Runs read from the database at once.
READ = 20
#: MLflow takes at most so many metrics in one call.
METRICS_A_CALL = 1000
#: Names the run of ours that an MLflow run records.
KEY = "l4.run"


class Tracker:
    """Brings a study's runs from the database into MLflow, each once.

    Args:
        uri: The MLflow server.
        study_id: The study's id; it ends the experiment's name.
        spec: The study.
        ledger: Its rows, which know the runs that MLflow does not have yet.
        weights: Where final parameters of confirm runs wait.
    """

    def __init__(self, *, uri: str, study_id: str, spec: StudySpec, ledger: Ledger, weights: Weights) -> None:
        """Open or find the experiment and its parent run."""
        self._client = MlflowClient(tracking_uri=uri)
        self._study_id, self._spec, self._ledger, self._weights = study_id, spec, ledger, weights
        self._settings: dict[tuple[str, str, int], Mapping[str, float]] = {}
        name = f"{spec.name} [{study_id}]"
        found = self._client.get_experiment_by_name(name)
        self.experiment: str = found.experiment_id if found else self._client.create_experiment(name)
        # of an earlier driver: what it had recorded, and what it was just recording
        self._recorded = self._earlier()
        self._parent = self._recorded.pop(study_id, None) or self._open_parent()

    def describe(self, environment: Environment) -> None:
        """Record the spec and what the study runs on.

        Args:
            environment: Versions, commit, hardware.
        """
        self._client.log_text(self._parent, self._spec.model_dump_json(indent=2), "spec.json")
        self._client.log_text(self._parent, environment.model_dump_json(indent=2), "environment.json")

    @contextmanager
    def following(self) -> Generator[None]:
        """Record runs behind what happens inside, and whatever is left at its end.

        Raises:
            MlflowException: At the end, where MLflow could not be reached.
        """
        ended = threading.Event()
        failures: list[Exception] = []
        follower = threading.Thread(target=self._follow, args=(ended, failures), name="tracking")
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()
        if failures:
            raise failures[0]

    def close(self, files: Mapping[str, bytes], status: str) -> None:
        """End the parent run.

        Args:
            files: The report's files by name; none where there is no report.
            status: MLflow's `FINISHED`, `FAILED` or `KILLED`.
        """
        if files:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in files.items():
                    Path(folder, name).write_bytes(content)
                self._client.log_artifacts(self._parent, folder, "report")
        self._client.set_terminated(self._parent, status)

    def _follow(self, ended: threading.Event, failures: list[Exception]) -> None:
        try:
            while True:
                last = ended.is_set()
                while runs := self._ledger.untracked_runs(READ):
                    for run in runs:
                        self._record(run)
                        self._ledger.mark_tracked([run])
                if last:
                    return
                ended.wait(0.5)
        except Exception as error:  # raised again in the thread that waits
            log.exception("recording in MLflow failed")
            failures.append(error)

    def _record(self, run: Run) -> None:
        key = _key(run)
        earlier = self._recorded.pop(key, None)
        if earlier is not None:
            # a driver that died between recording and noting it: recorded again, whole
            self._client.delete_run(earlier)
        tags = self._tags() | {
            MLFLOW_PARENT_RUN_ID: self._parent,
            KEY: key,
            "arm": run.arm,
            "workload": run.workload,
            "stage": run.stage.value,
            "trial": str(run.trial),
            "seed": str(run.seed),
            "outcome": run.outcome.value,
        }
        name = f"{run.workload} {run.arm} {run.stage} trial {run.trial:03d} seed {run.seed:04d}"
        made = self._client.create_run(self.experiment, tags=tags, run_name=name).info.run_id
        metrics = _metrics(run)
        for start in range(0, max(1, len(metrics)), METRICS_A_CALL):
            part = metrics[start : start + METRICS_A_CALL]
            self._client.log_batch(made, part, self._params(run) if start == 0 else ())
        if run.stage is Stage.CONFIRM:
            self._attach(made, run)
        self._client.set_terminated(made)

    def _attach(self, made: str, run: Run) -> None:
        """Attach a confirm run's series and final parameters."""
        weights = self._weights.path(run)
        weights.parent.mkdir(parents=True, exist_ok=True)
        with (weights.parent / "series.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["series", "step", "value"])
            for series in run.series:
                writer.writerows(
                    [series.name, step, value] for step, value in zip(series.steps, series.values, strict=True)
                )
        self._client.log_artifacts(made, str(weights.parent))
        self._weights.drop(run)

    def _params(self, run: Run) -> list[Param]:
        workload = self._spec.workload(run.workload)
        values: dict[str, object] = dict(self._setting(run))
        values |= {f"workload.{name}": value for name, value in workload.options.items()}
        values |= {"optimizer": self._spec.arm(run.arm).optimizer, "steps": workload.steps}
        return [Param(key, str(value)) for key, value in sorted(values.items())]

    def _setting(self, run: Run) -> Mapping[str, float]:
        key = (run.workload, run.arm, run.trial)
        if key not in self._settings:
            trials = self._ledger.rows().trials
            self._settings = {(trial.workload, trial.arm, trial.number): trial.setting for trial in trials}
        return self._settings[key]

    def _tags(self) -> dict[str, str]:
        return {"study": self._study_id, "spec_hash": self._spec.content_hash}

    def _open_parent(self) -> str:
        tags = self._tags() | {KEY: self._study_id}
        return self._client.create_run(self.experiment, tags=tags, run_name=f"study {self._spec.name}").info.run_id

    def _earlier(self) -> dict[str, str]:
        """Return the MLflow run ids of everything recorded in the experiment so far, by our key."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs([self.experiment], max_results=1000, page_token=token)
            found |= {run.data.tags[KEY]: run.info.run_id for run in page}
            token = page.token
            if not token:
                return found


def _key(run: Run) -> str:
    return f"{run.workload}/{run.arm}/{run.stage}/{run.trial}/{run.seed}"


def _metrics(run: Run) -> list[Metric]:
    """Return a run's series and final values; MLflow holds no infinities, the tag `outcome` tells of those."""
    now = int(time.time() * 1000)
    points = [
        Metric(series.name, value, now, step)
        for series in run.series
        for step, value in zip(series.steps, series.values, strict=True)
    ]
    final = {"train_loss": run.train_loss, **run.metrics}
    points += [Metric(f"final_{name}", value, now, run.steps) for name, value in final.items()]
    return [point for point in points if math.isfinite(point.value)]
