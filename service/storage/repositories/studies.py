"""The studies in the database: added, claimed, moved from state to state by guarded writes, and read."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, and_, func, select, update
from sqlalchemy.exc import IntegrityError

from service.errors import NoReportError, UnknownReportFileError, WrongStateError, quote_value
from service.states import ENDED, State
from service.storage.engine import reading_engine, writing_engine
from service.storage.entities import Claim, Event, IdempotencyKey, Page, RunRow, StudyRow, StudySummaryRow, is_valid_id
from service.storage.lifecycle.leases import claim_next, release, renew
from service.storage.lifecycle.queue import QueuedStudy, read_queue
from service.storage.lifecycle.transitions import has_state, state_for_update, transition, unknown_study
from service.storage.mappers import study_from_row
from service.storage.migrate import migrate
from service.storage.repositories.listing import StudyFilter, read_study_page
from service.storage.repositories.progress import ProgressCache
from service.storage.repositories.runs import read_rows, read_run_page
from service.storage.repositories.submission import find_by_idempotency_key, insert_study
from service.storage.tables import events, reports, studies
from studies.planning.progress import Progress
from studies.records.rows import Rows
from studies.spec.study import StudySpec

#: From (connection, study, present time) to the study's state after what was asked.
Command = Callable[[Connection, str, datetime], State]


class Store:
    """The studies in the database; it may be used from any thread and from several processes at once.

    Args:
        engine: From `service.storage.engine.open_engine`.
    """

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; nothing is read or written yet."""
        self._reader = reading_engine(engine)
        self._writer = writing_engine(engine)
        self._progresses = ProgressCache()

    def migrate(self) -> None:
        """Bring the tables to this version's.

        Raises:
            ForeignDatabaseError: The database is of a newer version, or not of this service.
        """
        with self.writing() as connection:
            migrate(connection)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Give a connection that sees one moment of the database."""
        with self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Give a connection whose writes are kept together at the end, or not at all after an error."""
        with self._writer.begin() as connection:
            yield connection

    # --- adding and reading ---------------------------------------------------------------------------------------

    def add_study(
        self,
        spec: StudySpec,
        now: datetime,
        key: IdempotencyKey | None = None,
        owner: str | None = None,
        *,
        priority: int = 0,
        reason: str = "",
    ) -> str:
        """Add a study to the queue.

        Args:
            spec: Complete.
            now: The time of creation.
            key: What its client gave with it; a study that its owner posted with the same one before is that study.
            owner: Name of the API key that it was posted with, if any.
            priority: The higher the sooner it is taken up.
            reason: Why it is there, in plain words; empty where it was posted.

        Returns:
            Its id, later ones sort later.

        Raises:
            KeyReusedError: The key came with another body before.
        """
        try:
            with self.writing() as connection:
                return insert_study(connection, spec, now, key, owner=owner, priority=priority, reason=reason)
        except IntegrityError:
            # another request with the same key was kept first
            existing_id = None if key is None else self.find_by_idempotency_key(key, owner)
            if existing_id is None:
                raise
            return existing_id

    def find_by_idempotency_key(self, key: IdempotencyKey, owner: str | None = None) -> str | None:
        """Return the id of the study that an owner posted with a key, None where there is none.

        Args:
            key: The key with the body that it came with now.
            owner: Name of the API key that it came with, if any.

        Raises:
            KeyReusedError: It came with another body before.
        """
        with self.reading() as connection:
            return find_by_idempotency_key(connection, key, owner)

    def study(self, study_id: str) -> StudyRow:
        """Return a study.

        Raises:
            UnknownStudyError: There is none of that id.
        """
        if not is_valid_id(study_id):
            raise unknown_study(study_id)
        with self.reading() as connection:
            row = connection.execute(select(studies).where(studies.c.id == study_id)).one_or_none()
        if row is None:
            raise unknown_study(study_id)
        return study_from_row(row)

    def studies(
        self, limit: int, cursor: str | None = None, study_filter: StudyFilter | None = None
    ) -> Page[StudySummaryRow]:
        """Return studies, newest first.

        Args:
            limit: Most studies in the page.
            cursor: Of the page before; None for the first.
            study_filter: Which ones; all but the archived where None.

        Raises:
            BadCursorError: The cursor is none of this service's.
        """
        with self.reading() as connection:
            return read_study_page(connection, study_filter or StudyFilter(), limit, cursor)

    def progress(self, study: StudyRow) -> Progress:
        """Return how far a study is.

        Args:
            study: The study.
        """
        with self.reading() as connection:
            return self._progresses.progress_of(connection, study)

    def queue(self, now: datetime) -> tuple[QueuedStudy, ...]:
        """Return the queued studies in the order in which they will be taken up.

        Args:
            now: The present time.
        """
        with self.reading() as connection:
            return tuple(read_queue(connection, now))

    def events(self, study_id: str, after: int = 0) -> tuple[Event, ...]:
        """Return what happened to a study, in its order.

        Args:
            study_id: The study.
            after: The id of the last event that is known already.
        """
        query = select(events).where(events.c.study == study_id, events.c.id > after).order_by(events.c.id)
        with self.reading() as connection:
            return tuple(
                Event(id=row.id, at=row.at, state=State(row.kind), reason=row.message)
                for row in connection.execute(query)
            )

    def latest_events(self, study_ids: Sequence[str]) -> dict[str, int]:
        """Return the id of the last event of each of some studies.

        Args:
            study_ids: The studies.
        """
        latest = func.max(events.c.id).label("latest")
        query = select(events.c.study, latest).where(events.c.study.in_(study_ids)).group_by(events.c.study)
        with self.reading() as connection:
            return {row.study: row.latest for row in connection.execute(query)}

    def run_page(self, study_id: str, limit: int, cursor: str | None = None) -> Page[RunRow]:
        """Return a study's runs, without series, in order of (workload, arm, stage, trial, seed).

        Args:
            study_id: The study.
            limit: Most runs in the page.
            cursor: Of the page before; None for the first.

        Raises:
            UnknownStudyError: There is no such study.
            BadCursorError: The cursor is none of this service's.
        """
        self.study(study_id)
        with self.reading() as connection:
            return read_run_page(connection, study_id, limit, cursor)

    def rows(self, study_id: str, *, series: bool = False) -> Rows:
        """Return all rows of a study, as `studies.records.rows.Ledger` has it.

        Args:
            study_id: The study.
            series: Whether the runs have their series.
        """
        with self.reading() as connection:
            return read_rows(connection, study_id, with_series=series)

    # --- the states -----------------------------------------------------------------------------------------------

    def claim(self, now: datetime, lease_seconds: float, max_per_owner: int | None = None) -> Claim | None:
        """Take the next study that waits for a driver: running with a lease that ran out, or first in the queue.

        Args:
            now: The present time.
            lease_seconds: How long the claim holds without a heartbeat.
            max_per_owner: Studies of one owner that drivers may hold at once; None for any number.

        Returns:
            The claim, None where nothing waits.
        """
        with self.writing() as connection:
            return claim_next(connection, now, lease_seconds, max_per_owner)

    def heartbeat(self, study_id: str, token: str, now: datetime, lease_seconds: float) -> State:
        """Renew a lease.

        Args:
            study_id: The study.
            token: Of the claim.
            now: The present time.
            lease_seconds: How long it holds from now.

        Returns:
            RUNNING, or PAUSED or CANCELLING where the study was asked to pause or to stop.

        Raises:
            StoppedError: The token holds the study no longer.
        """
        with self.writing() as connection:
            return renew(connection, study_id, token, now, lease_seconds)

    def transition(self, study_id: str, to: State, reason: str, token: str | None = None) -> None:
        """Move a study to another state.

        Args:
            study_id: The study.
            to: Where to.
            reason: Why, in plain words; empty where there is nothing to say.
            token: Of the claim; None for who needs none.

        Raises:
            UnknownStudyError: There is no such study.
            StoppedError: The token holds the study no longer.
            WrongStateError: The study's state does not lead there.
        """
        with self.writing() as connection:
            transition(connection, study_id, to, reason, token=token, now=datetime.now(UTC))

    def release(self, study_id: str, token: str, reason: str = "") -> State:
        """Give up a study's claim, wherever the study is by now.

        Args:
            study_id: The study.
            token: Of the claim.
            reason: Of what its driver died, empty where it did not.

        Returns:
            CANCELLED, PAUSED, QUEUED, or FAILED where its drivers died too often.

        Raises:
            StoppedError: The token holds the study no longer.
        """
        with self.writing() as connection:
            return release(connection, study_id, token, reason, datetime.now(UTC))

    def execute(self, study_id: str, command: Command) -> State:
        """Ask something of a study.

        Args:
            study_id: The study.
            command: One of `service.storage.lifecycle.commands`.

        Returns:
            Where the study is then.

        Raises:
            UnknownStudyError: There is no such study.
            WrongStateError: Its state does not allow it.
        """
        if not is_valid_id(study_id):
            raise unknown_study(study_id)
        with self.writing() as connection:
            return command(connection, study_id, datetime.now(UTC))

    def state(self, study_id: str) -> State:
        """Return a study's state.

        Raises:
            UnknownStudyError: There is no such study.
        """
        with self.reading() as connection:
            state = connection.execute(select(studies.c.state).where(studies.c.id == study_id)).scalar_one_or_none()
        if state is None:
            raise unknown_study(study_id)
        return State(state)

    def end_abandoned_cancellations(self, now: datetime) -> None:
        """Mark CANCELLED every study that was asked to stop and whose driver lets its lease run out.

        Args:
            now: The present time.
        """
        abandoned = and_(studies.c.state == State.CANCELLING.value, studies.c.lease_expires_at < now)
        with self.writing() as connection:
            # two runners may look at once
            study_ids = connection.execute(select(studies.c.id).where(abandoned).with_for_update(skip_locked=True))
            for study_id in study_ids.scalars().all():
                transition(connection, study_id, State.CANCELLED, "cancelled by request", token=None, now=now)

    def set_environment(self, study_id: str, environment: Mapping[str, object]) -> None:
        """Note what a study runs on.

        Args:
            study_id: The study.
            environment: Versions, hardware, commit and the like, as JSON has it.

        Raises:
            WrongStateError: The study has ended.
        """
        text = json.dumps(environment, allow_nan=False)
        alive = tuple(state for state in State if state not in ENDED)
        change = update(studies).where(studies.c.id == study_id, has_state(alive)).values(environment=text)
        with self.writing() as connection:
            if connection.execute(change).rowcount == 0:
                state = state_for_update(connection, study_id)
                raise WrongStateError(f"study {study_id} is {state}; nothing of it may change any more")

    def set_experiment(self, study_id: str, experiment: str) -> None:
        """Note the id of a study's MLflow experiment, which may be made when the study has ended."""
        with self.writing() as connection:
            connection.execute(update(studies).where(studies.c.id == study_id).values(mlflow_experiment=experiment))

    # --- the report ------------------------------------------------------------------------------------------------

    def report_files(self, study_id: str) -> tuple[str, ...]:
        """Return the names of a report's files, in alphabetical order; none where there is no report."""
        query = select(reports.c.file).where(reports.c.study == study_id).order_by(reports.c.file)
        with self.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def report_file(self, study_id: str, file: str) -> bytes:
        """Return a file of a study's report.

        Args:
            study_id: The study.
            file: `report.json`, `report.html` and so on.

        Raises:
            UnknownStudyError: There is no such study.
            NoReportError: There is no report (yet).
            UnknownReportFileError: It has no such file.
        """
        study = self.study(study_id)
        query = select(reports.c.content).where(reports.c.study == study_id, reports.c.file == file)
        with self.reading() as connection:
            content = connection.execute(query).scalar_one_or_none()
        if content is not None:
            return content
        file_names = self.report_files(study_id)
        if file_names:
            raise UnknownReportFileError(
                f"study {study_id}'s report has no {quote_value(file)}; it has {', '.join(file_names)}"
            )
        because = f": {study.reason}" if study.reason else ""
        advice = "" if study.state in ENDED else "; ask again once it has SUCCEEDED"
        raise NoReportError(f"study {study_id} is {study.state}{because}. It has no report{advice}")
