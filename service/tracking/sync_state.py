"""The record of which studies and runs are in MLflow; the recorder writes it without a claim."""

from datetime import datetime

from sqlalchemy import func, insert, select, update

from service.storage.entities import RunRow, StudyRow
from service.storage.repositories.runs import read_untracked_runs
from service.storage.repositories.studies import Store
from service.storage.tables import recordings, runs, studies
from studies.records.rows import Run


class SyncState:
    """The synchronization state of one database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Read and write nothing yet."""
        self._store = store

    def unfinished(self) -> tuple[str, ...]:
        """Return the ids of started studies that are not completely recorded in MLflow, oldest first."""
        finished = select(recordings.c.study)
        query = select(studies.c.id).where(studies.c.environment.is_not(None), studies.c.id.not_in(finished))
        with self._store.reading() as connection:
            return tuple(connection.execute(query.order_by(studies.c.id)).scalars())

    def untracked_runs(self, study_id: str, limit: int) -> tuple[RunRow, ...]:
        """Return runs, with series, that are not recorded in MLflow yet, in order of (pack, lane).

        Args:
            study_id: The study.
            limit: Maximum number of runs to return.
        """
        with self._store.reading() as connection:
            return read_untracked_runs(connection, study_id, limit)

    def mark_tracked(self, study_id: str, run: Run) -> None:
        """Mark a run as recorded in MLflow.

        Args:
            study_id: The run's study.
            run: The run.
        """
        same_run = (runs.c.study == study_id, runs.c.pack == run.pack, runs.c.lane == run.lane)
        with self._store.writing() as connection:
            connection.execute(update(runs).where(*same_run).values(tracked=True))

    def finish(self, study: StudyRow, now: datetime, found: int) -> None:
        """Mark a study as completely recorded in MLflow, unless it was retried meanwhile.

        Args:
            study: The ended study.
            now: The present time.
            found: Number of its runs that are in MLflow; the others were deleted or altered there.
        """
        total = select(func.count()).where(runs.c.study == study.id).scalar_subquery()
        unchanged = select(studies.c.id).where(studies.c.id == study.id, studies.c.ended_at == study.ended_at)
        with self._store.writing() as connection:
            if connection.execute(unchanged.with_for_update()).first() is not None:
                connection.execute(insert(recordings).values(study=study.id, at=now))
                lacks = update(studies).where(studies.c.id == study.id).values(mlflow_lacks=total - found)
                connection.execute(lacks)
