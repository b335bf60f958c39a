"""What MLflow has of each study, as the recorder notes it; unlike a driver it holds no claim."""

from datetime import datetime

from sqlalchemy import insert, select, update

from service.storage.entities import RunRow, StudyRow
from service.storage.repositories.runs import read_untracked_runs
from service.storage.repositories.studies import Store
from service.storage.tables import recordings, runs, studies
from studies.records.rows import Run


class SyncState:
    """The notes of one database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Keep the database; nothing is read or written yet."""
        self._store = store

    def unfinished(self) -> tuple[str, ...]:
        """Return the ids of the studies that were driven and of which MLflow may lack something, oldest first."""
        finished = select(recordings.c.study)
        query = select(studies.c.id).where(studies.c.environment.is_not(None), studies.c.id.not_in(finished))
        with self._store.reading() as connection:
            return tuple(connection.execute(query.order_by(studies.c.id)).scalars())

    def untracked_runs(self, study_id: str, limit: int) -> tuple[RunRow, ...]:
        """Return runs, with series, that MLflow does not have yet, in order of (pack, lane).

        Args:
            study_id: The study.
            limit: Most runs to return.
        """
        with self._store.reading() as connection:
            return read_untracked_runs(connection, study_id, limit)

    def mark_tracked(self, study_id: str, run: Run) -> None:
        """Note that MLflow has a run.

        Args:
            study_id: The run's study.
            run: The run.
        """
        own = (runs.c.study == study_id, runs.c.pack == run.pack, runs.c.lane == run.lane)
        with self._store.writing() as connection:
            connection.execute(update(runs).where(*own).values(tracked=True))

    def finish(self, study: StudyRow, now: datetime) -> None:
        """Note that MLflow has everything of a study; nothing where it was retried meanwhile.

        Args:
            study: As it had ended.
            now: The present time.
        """
        same = select(studies.c.id).where(studies.c.id == study.id, studies.c.ended_at == study.ended_at)
        with self._store.writing() as connection:
            if connection.execute(same.with_for_update()).first() is not None:
                connection.execute(insert(recordings).values(study=study.id, at=now))
