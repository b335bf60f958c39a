"""Deletion of studies: rows first, then files; the recorder deletes the MLflow experiment once MLflow is reachable."""

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from sqlalchemy import Connection, delete, insert, select

from service.settings import Settings
from service.states import ENDED
from service.storage.entities import is_valid_id
from service.storage.lifecycle.transitions import state_for_update, unknown_study, wrong_state
from service.storage.repositories.studies import Store
from service.storage.tables import deletions, metadata, studies

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """A study whose rows are deleted; files or its MLflow experiment may remain.

    Args:
        study_id: Its id.
        experiment: Id of the MLflow experiment to delete; None to delete none.
    """

    study_id: str
    experiment: str | None


class Deletions:
    """Deletes studies of one deployment.

    Args:
        settings: The deployment's settings.
        store: The database.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        """Read and write nothing yet."""
        self._settings, self._store = settings, store

    def delete(self, study_id: str, now: datetime, *, mlflow: bool) -> bool:
        """Delete an ended study.

        Args:
            study_id: The study.
            now: The present time.
            mlflow: Whether to delete its MLflow experiment too, if it has one, which the recorder does.

        Returns:
            Whether the deletion is complete; otherwise it is recorded as pending, and the recorder finishes it.

        Raises:
            UnknownStudyError: No such study, or it is already deleted.
            WrongStateError: It has not ended.
        """
        if not is_valid_id(study_id):
            raise unknown_study(study_id)
        with self._store.writing() as connection:
            # kept before the row goes: names in MLflow are anybody's
            own_experiment = _remove_rows(connection, study_id)
            experiment = own_experiment if mlflow else None
            connection.execute(insert(deletions).values(study=study_id, at=now, mlflow_experiment=experiment))
        log.info("study %s is deleted", study_id)
        try:
            self._remove_files(study_id)
        except OSError:
            log.exception("files of study %s are left, for the recorder to remove", study_id)
            return False
        if experiment is not None:
            return False
        self._remove_record(study_id)
        return True

    def pending(self) -> tuple[Deletion, ...]:
        """Return the pending deletions, oldest study first."""
        query = select(deletions.c.study, deletions.c.mlflow_experiment).order_by(deletions.c.study)
        with self._store.reading() as connection:
            return tuple(
                Deletion(study_id=study_id, experiment=experiment) for study_id, experiment in connection.execute(query)
            )

    def finish(self, study_id: str) -> None:
        """Delete the remaining files of a deleted study, and its pending deletion.

        Args:
            study_id: The study.

        Raises:
            OSError: A file cannot be deleted; the deletion stays pending.
        """
        self._remove_files(study_id)
        self._remove_record(study_id)

    def _remove_files(self, study_id: str) -> None:
        shutil.rmtree(self._settings.study_folder(study_id), onerror=_raise_unless_missing)

    def _remove_record(self, study_id: str) -> None:
        with self._store.writing() as connection:
            connection.execute(delete(deletions).where(deletions.c.study == study_id))


def _remove_rows(connection: Connection, study_id: str) -> str | None:
    """Delete all rows of an ended study, and return the id of its MLflow experiment, if it has one."""
    state = state_for_update(connection, study_id)
    if state not in ENDED:
        raise wrong_state(study_id, state, "deleted", "only one that has ended can; cancel it first")
    experiment = connection.execute(select(studies.c.mlflow_experiment).where(studies.c.id == study_id)).scalar_one()
    for table in reversed(metadata.sorted_tables):  # referencing tables before referenced ones
        if "study" in table.c and table is not deletions:
            connection.execute(delete(table).where(table.c.study == study_id))
    connection.execute(delete(studies).where(studies.c.id == study_id))
    return experiment


def _raise_unless_missing(
    _call: object, _path: str, error: tuple[type[BaseException], BaseException, TracebackType]
) -> None:
    if not isinstance(error[1], FileNotFoundError):  # another process may be deleting them too
        raise error[1]
