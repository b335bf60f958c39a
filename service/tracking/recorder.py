"""The recorder process: copies studies from the database into MLflow (`python -m service.tracking.recorder`)."""

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from service.errors import ServiceError, UnknownStudyError
from service.home import prepare_home
from service.processes.json_logging import configure_json_logging
from service.settings import Settings, read_settings
from service.states import ENDED, State
from service.storage.engine import open_engine
from service.storage.entities import StudyRow
from service.storage.repositories.deletions import Deletion, Deletions
from service.storage.repositories.studies import Store
from service.tracking.mlflow import StudyTracker, create_experiment, delete_experiment, is_usable
from service.tracking.sync_state import SyncState
from studies.environment import Environment
from studies.execution.artifacts import CheckpointStore, ParameterStore

log = logging.getLogger("service.tracking.recorder")  # as a program its name is `__main__`

#: Maximum number of runs recorded of a study before the next study.
_RUNS_PER_PASS = 20
_POLL_SECONDS = 0.5
_RETRY_DELAY = timedelta(seconds=30)
#: Training has priority when processors are scarce.
_NICENESS = 10
#: MLflow's run status, by the final state of a study.
_MLFLOW_STATUS = {State.SUCCEEDED: "FINISHED", State.FAILED: "FAILED", State.CANCELLED: "KILLED"}


class Recorder:
    """Records all studies of a database in MLflow, each run once.

    Args:
        settings: The deployment's settings.
        store: The database.
        stopping: Called before each run; True stops recording.
    """

    def __init__(self, settings: Settings, store: Store, stopping: Callable[[], bool]) -> None:
        """Open no study yet."""
        self._settings, self._store, self._stopping = settings, store, stopping
        self._sync_state, self._deletions = SyncState(store), Deletions(settings, store)
        self._trackers: dict[str, StudyTracker] = {}
        self._retry_at: dict[str, datetime] = {}

    def run_once(self, now: datetime) -> bool:
        """Record some runs of every study, close ended studies, finish deletions; failures are retried later.

        Args:
            now: The present time.

        Returns:
            Whether there may be more to record.
        """
        unfinished = self._sync_state.unfinished()
        for study_id in self._trackers.keys() - unfinished:
            del self._trackers[study_id]  # the study was deleted
        due = [study_id for study_id in unfinished if self._retry_at.get(study_id, now) <= now]
        has_more = [self._try_record(study_id, now) for study_id in due]
        for deletion in self._deletions.pending():
            if self._retry_at.get(deletion.study_id, now) <= now:
                self._try_delete(deletion, now)
        return any(has_more)

    def _try_record(self, study_id: str, now: datetime) -> bool:
        try:
            return self._record(study_id)
        except Exception:
            if study_id not in self._sync_state.unfinished():
                return False  # the study and its files were deleted meanwhile
            # MLflow is unreachable or refuses, which does not affect the study itself
            log.exception(
                "study %s was not recorded; it is tried again in %s", study_id, _RETRY_DELAY, extra={"study": study_id}
            )
            self._trackers.pop(study_id, None)
            self._retry_at[study_id] = now + _RETRY_DELAY
            return False

    def _try_delete(self, deletion: Deletion, now: datetime) -> None:
        study_id = deletion.study_id
        try:
            if deletion.experiment is not None:
                delete_experiment(uri=self._settings.tracking_uri, study_id=study_id, experiment_id=deletion.experiment)
            self._deletions.finish(study_id)
        except Exception:
            log.exception("study %s was not deleted from all places; it is tried again in %s", study_id, _RETRY_DELAY)
            self._retry_at[study_id] = now + _RETRY_DELAY
            return
        self._retry_at.pop(study_id, None)
        log.info("nothing is left of study %s", study_id)

    def _record(self, study_id: str) -> bool:
        study = self._store.study(study_id)  # read before its runs: an ended study gets no further runs
        if study_id not in self._trackers:
            self._trackers[study_id] = self._open(study)
        tracker = self._trackers[study_id]
        parameters = ParameterStore(folder=self._settings.parameters_folder(study_id))
        rows = self._sync_state.untracked_runs(study_id, _RUNS_PER_PASS)
        for row in rows:
            if self._stopping():
                return False
            tracker.record(row.run, row.setting, parameters.path(row.run))
            self._sync_state.mark_tracked(study_id, row.run)
            parameters.delete(row.run)
        if rows or study.state not in ENDED:
            return bool(rows)
        files = {file: self._store.report_file(study_id, file) for file in self._store.report_files(study_id)}
        tracker.close(files, _MLFLOW_STATUS[study.state])
        if study.state is not State.FAILED:  # a failed study may be retried, and continues from its checkpoints
            CheckpointStore(folder=self._settings.checkpoints_folder(study_id)).delete_all()
        self._sync_state.finish(study, datetime.now(UTC), tracker.count_runs())
        del self._trackers[study_id]
        log.info(
            "study %s is %s, and its recording in MLflow is complete", study_id, study.state, extra={"study": study_id}
        )
        return False

    def _open(self, study: StudyRow) -> StudyTracker:
        uri, experiment_id = self._settings.tracking_uri, study.mlflow_experiment
        if experiment_id is None or not is_usable(uri=uri, study_id=study.id, experiment_id=experiment_id):
            previous, experiment_id = experiment_id, self._create_experiment(study)
            if previous is not None:
                log.warning(
                    "study %s: MLflow's experiment %s was deleted or altered there; later runs go into experiment %s",
                    *(study.id, previous, experiment_id),
                    extra={"study": study.id},
                )
        tracker = StudyTracker(uri=uri, study_id=study.id, spec=study.spec, experiment_id=experiment_id)
        tracker.describe(Environment.model_validate(study.environment))
        return tracker

    def _create_experiment(self, study: StudyRow) -> str:
        uri = self._settings.tracking_uri
        experiment_id = create_experiment(uri=uri, study_id=study.id, spec=study.spec)
        try:
            self._store.set_experiment(study.id, experiment_id)
        except UnknownStudyError:  # deleted meanwhile, and its deletion knows of no experiment
            delete_experiment(uri=uri, study_id=study.id, experiment_id=experiment_id)
            raise
        return experiment_id


def lock(home: Path) -> TextIO | None:
    """Take the lock that admits one recorder per deployment; closing the file releases it.

    Args:
        home: The deployment's `L4_HOME`.

    Returns:
        The locked file, None if another recorder holds the lock.
    """
    file = (home / "recorder.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def main() -> int:
    """Record until SIGTERM."""
    configure_json_logging("recorder")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    os.nice(_NICENESS)
    try:
        settings = read_settings()
        prepare_home(settings.home)
    except ServiceError as error:
        log.error("%s", error)
        return 1
    lock_file: TextIO | None = None
    while lock_file is None:
        lock_file = lock(settings.home)
        if stopping.wait(0 if lock_file else _POLL_SECONDS):
            return 0
    with lock_file:
        recorder = Recorder(settings, Store(open_engine(settings.database_url)), stopping.is_set)
        while not stopping.is_set():
            if not recorder.run_once(datetime.now(UTC)):
                stopping.wait(_POLL_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
