"""The repository of studies: adds, reads, claims and moves them between states, and reads their reports."""

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
from service.storage.tables import events, reports, runs, studies
from studies.planning.progress import Progress
from studies.records.rows import Rows
from studies.spec.study import StudySpec

#: Runs a command: takes a connection, a study id and the present time, and returns the study's new state.
Command = Callable[[Connection, str, datetime], State]


class Store:
    """The studies of one database; safe to use from several threads and processes.

    Args:
        engine: From `service.storage.engine.open_engine`.
    """

    def __init__(self, engine: Engine) -> None:
        """Read and write nothing yet."""
        self._reader = reading_engine(engine)
        self._writer = writing_engine(engine)
        self._progresses = ProgressCache()

    def migrate(self) -> None:
        """Migrate the database to the newest revision.

        Raises:
            ForeignDatabaseError: The database is from a newer version, or not of this service.
        """
        with self.writing() as connection:
            migrate(connection)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Yield a connection in a read transaction, which sees one consistent snapshot."""
        with self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Yield a connection in a write transaction: committed at the end, rolled back after an error."""
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
            key: Its idempotency key, if any; if the owner posted a study with this key before, no study is added.
            owner: Name of the API key that it was posted with, if any.
            priority: Higher priorities are claimed first.
            reason: Why it was added; empty if it was posted.

        Returns:
            The study's id, or that of the earlier study with the same key. Ids sort by time.

        Raises:
            KeyReusedError: The key was used with another body or priority.
        """
        try:
            with self.writing() as connection:
                return insert_study(connection, spec, now, key, owner=owner, priority=priority, reason=reason)
        except IntegrityError:
            # a concurrent request with the same key was committed first
            existing_id = None if key is None else self.find_by_idempotency_key(key, owner, priority=priority)
            if existing_id is None:
                raise
            return existing_id

    def find_by_idempotency_key(
        self, key: IdempotencyKey, owner: str | None = None, *, priority: int = 0
    ) -> str | None:
        """Return the id of the study that an owner posted with an idempotency key, None if there is none.

        Args:
            key: The key and the digest of the present request body.
            owner: Name of the API key of the request, if any.
            priority: The priority of the present request.

        Raises:
            KeyReusedError: The key was used with another body or priority.
        """
        with self.reading() as connection:
            return find_by_idempotency_key(connection, key, owner, priority)

    def study(self, study_id: str) -> StudyRow:
        """Return a study.

        Raises:
            UnknownStudyError: No such study.
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
        """Return a page of studies, newest first.

        Args:
            limit: Maximum number of studies in the page.
            cursor: The previous page's `next_cursor`; None for the first page.
            study_filter: The filter; None for all but archived studies.

        Raises:
            BadCursorError: The cursor is invalid.
        """
        with self.reading() as connection:
            return read_study_page(connection, study_filter or StudyFilter(), limit, cursor)

    def progress(self, study: StudyRow) -> Progress:
        """Return a study's progress.

        Args:
            study: The study.
        """
        with self.reading() as connection:
            return self._progresses.progress_of(connection, study)

    def queue(self, now: datetime) -> tuple[QueuedStudy, ...]:
        """Return the queued studies in the order in which they will be claimed.

        Args:
            now: The present time.
        """
        with self.reading() as connection:
            return tuple(read_queue(connection, now))

    def events(self, study_id: str, after: int = 0) -> tuple[Event, ...]:
        """Return a study's events, oldest first.

        Args:
            study_id: The study.
            after: Return only events with a larger id.
        """
        query = select(events).where(events.c.study == study_id, events.c.id > after).order_by(events.c.id)
        with self.reading() as connection:
            return tuple(
                Event(id=row.id, at=row.at, state=State(row.kind), reason=row.message)
                for row in connection.execute(query)
            )

    def latest_events(self, study_ids: Sequence[str]) -> dict[str, int]:
        """Return the id of the latest event of each study.

        Args:
            study_ids: The studies.
        """
        latest = func.max(events.c.id).label("latest")
        query = select(events.c.study, latest).where(events.c.study.in_(study_ids)).group_by(events.c.study)
        with self.reading() as connection:
            return {row.study: row.latest for row in connection.execute(query)}

    def run_page(self, study_id: str, limit: int, cursor: str | None = None) -> Page[RunRow]:
        """Return a page of a study's runs without series, in order of (workload, arm, stage, trial, seed).

        Args:
            study_id: The study.
            limit: Maximum number of runs in the page.
            cursor: The previous page's `next_cursor`; None for the first page.

        Raises:
            UnknownStudyError: No such study.
            BadCursorError: The cursor is invalid.
        """
        self.study(study_id)
        with self.reading() as connection:
            return read_run_page(connection, study_id, limit, cursor)

    def rows(self, study_id: str, *, series: bool = False) -> Rows:
        """Return all rows of a study, as in `studies.execution.ledger.Ledger`.

        Args:
            study_id: The study.
            series: Whether to read the runs' series.
        """
        with self.reading() as connection:
            return read_rows(connection, study_id, with_series=series)

    # --- the states -----------------------------------------------------------------------------------------------

    def claim(self, now: datetime, lease_seconds: float, max_per_owner: int | None = None) -> Claim | None:
        """Claim the next study: one whose lease expired, else the first in the queue.

        Args:
            now: The present time.
            lease_seconds: How long the claim is valid without a heartbeat.
            max_per_owner: Limit of running studies of one owner; None for no limit.

        Returns:
            The claim, None if nothing can be claimed.
        """
        with self.writing() as connection:
            return claim_next(connection, now, lease_seconds, max_per_owner)

    def heartbeat(self, study_id: str, token: str, now: datetime, lease_seconds: float) -> State:
        """Renew a lease.

        Args:
            study_id: The study.
            token: The claim's token.
            now: The present time.
            lease_seconds: New duration, from now.

        Returns:
            The study's state: RUNNING, PAUSED or CANCELLING.

        Raises:
            StoppedError: The lease was lost.
        """
        with self.writing() as connection:
            return renew(connection, study_id, token, now, lease_seconds)

    def transition(self, study_id: str, to: State, reason: str, token: str | None = None) -> None:
        """Change a study's state.

        Args:
            study_id: The study.
            to: The new state.
            reason: Why; may be empty.
            token: The claim's token; None for changes that need no claim.

        Raises:
            UnknownStudyError: No such study.
            StoppedError: The lease was lost.
            WrongStateError: The current state does not allow the transition.
        """
        with self.writing() as connection:
            transition(connection, study_id, to, reason, token=token, now=datetime.now(UTC))

    def release(self, study_id: str, token: str, reason: str = "") -> State:
        """Release a study's claim, whatever the study's state.

        Args:
            study_id: The study.
            token: The claim's token.
            reason: Why its driver died; empty if it did not.

        Returns:
            CANCELLED, PAUSED, QUEUED, or FAILED after too many failed attempts.

        Raises:
            StoppedError: The lease was lost.
        """
        with self.writing() as connection:
            return release(connection, study_id, token, reason, datetime.now(UTC))

    def execute(self, study_id: str, command: Command) -> State:
        """Execute a command on a study.

        Args:
            study_id: The study.
            command: One of `service.storage.lifecycle.commands`.

        Returns:
            The study's new state.

        Raises:
            UnknownStudyError: No such study.
            WrongStateError: Its state does not allow the command.
        """
        if not is_valid_id(study_id):
            raise unknown_study(study_id)
        with self.writing() as connection:
            return command(connection, study_id, datetime.now(UTC))

    def state(self, study_id: str) -> State:
        """Return a study's state.

        Raises:
            UnknownStudyError: No such study.
        """
        with self.reading() as connection:
            state = connection.execute(select(studies.c.state).where(studies.c.id == study_id)).scalar_one_or_none()
        if state is None:
            raise unknown_study(study_id)
        return State(state)

    def end_abandoned_cancellations(self, now: datetime) -> None:
        """Mark every CANCELLING study whose lease expired as CANCELLED.

        Args:
            now: The present time.
        """
        abandoned = and_(studies.c.state == State.CANCELLING.value, studies.c.lease_expires_at < now)
        with self.writing() as connection:
            # another runner may do the same concurrently: each takes the rows that the other has not locked
            study_ids = connection.execute(select(studies.c.id).where(abandoned).with_for_update(skip_locked=True))
            for study_id in study_ids.scalars().all():
                transition(connection, study_id, State.CANCELLED, "cancelled by request", token=None, now=now)

    def set_environment(self, study_id: str, environment: Mapping[str, object]) -> None:
        """Save the environment that a study runs in.

        Args:
            study_id: The study.
            environment: Versions, hardware, commit and so on, as JSON.

        Raises:
            WrongStateError: The study has ended.
        """
        text = json.dumps(environment, allow_nan=False)
        not_ended = tuple(state for state in State if state not in ENDED)
        change = update(studies).where(studies.c.id == study_id, has_state(not_ended)).values(environment=text)
        with self.writing() as connection:
            if connection.execute(change).rowcount == 0:
                state = state_for_update(connection, study_id)
                raise WrongStateError(f"study {study_id} is {state}; nothing of it may change any more")

    def set_experiment(self, study_id: str, experiment: str) -> None:
        """Save the id of a study's new MLflow experiment, which lacks the runs recorded so far, if any.

        Args:
            study_id: The study; it may have ended.
            experiment: Has no runs yet.

        Raises:
            UnknownStudyError: The study was deleted.
        """
        recorded = select(func.count()).where(runs.c.study == study_id, runs.c.tracked.is_(True)).scalar_subquery()
        change = update(studies).where(studies.c.id == study_id)
        with self.writing() as connection:
            changed = connection.execute(change.values(mlflow_experiment=experiment, mlflow_lacks=recorded))
            if changed.rowcount == 0:
                raise unknown_study(study_id)

    # --- the report ------------------------------------------------------------------------------------------------

    def report_files(self, study_id: str) -> tuple[str, ...]:
        """Return the names of a report's files, in alphabetical order; empty if there is no report."""
        query = select(reports.c.file).where(reports.c.study == study_id).order_by(reports.c.file)
        with self.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def report_file(self, study_id: str, file: str) -> bytes:
        """Return a file of a study's report.

        Args:
            study_id: The study.
            file: `report.json`, `report.html` and so on.

        Raises:
            UnknownStudyError: No such study.
            NoReportError: There is no report (yet).
            UnknownReportFileError: The report has no such file.
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
        reason = f": {study.reason}" if study.reason else ""
        advice = "" if study.state in ENDED else "; ask again once it has SUCCEEDED"
        raise NoReportError(f"study {study_id} is {study.state}{reason}. It has no report{advice}")
