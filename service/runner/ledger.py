"""A study's rows for its driver; every write first checks that the driver still holds the claim."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, delete, insert, select, update

from service.states import HELD, WRITABLE, State
from service.storage.engine import retry_on_disconnect
from service.storage.lifecycle.transitions import has_state, lease_lost, transition
from service.storage.mappers import pack_record, run_record, series_records, trial_record
from service.storage.repositories.run_counts import add_to_run_counts
from service.storage.repositories.studies import Store
from service.storage.repositories.throughput import read_speeds, replace_speeds
from service.storage.repositories.time_budget import read_elapsed, read_estimate, record_limit_reached, save_estimate
from service.storage.tables import packs, reports, runs, series, studies, trials
from studies.planning.estimate import Estimate
from studies.planning.throughput import Speed, Subject
from studies.records.rows import Limit, Pack, Rows, Run, Trial

Value = TypeVar("Value")


class StudyLedger:
    """A `studies.execution.ledger.Ledger` in the database.

    Args:
        store: The database.
        study_id: The study.
        token: The token of the driver's claim.
    """

    def __init__(self, store: Store, study_id: str, token: str) -> None:
        """Read and write nothing yet."""
        self._store = store
        self._study_id = study_id
        self._token = token

    def rows(self, *, series: bool = False) -> Rows:
        """Return all rows, optionally with the runs' series."""
        return retry_on_disconnect(lambda: self._store.rows(self._study_id, series=series))

    def add_plan(self, trials: Sequence[Trial], packs: Sequence[Pack]) -> None:
        """Write new trials and the packs that train them; does nothing if they exist.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        self._write(lambda connection: _insert_plan(connection, self._study_id, trials, packs))

    def finish_pack(self, pack: Pack, runs: Sequence[Run]) -> None:
        """Write a trained pack's runs and mark the pack done; does nothing if it is done already.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        self._write(lambda connection: _finish_pack(connection, self._study_id, pack, runs))

    def record_progress(self) -> None:
        """Record that the study made progress, as `finish_pack` does: the attempt does not count as failed.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        self._write(lambda connection: _reset_failed_attempts(connection, self._study_id))

    def split_pack(self, first: Pack, second: Pack) -> None:
        """Replace a pack by two that share its lanes; does nothing if it was split before.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        unfinished_pack = (packs.c.study == self._study_id, packs.c.number == first.number, packs.c.done.is_(False))

        def change(connection: Connection) -> None:
            _insert_plan(connection, self._study_id, (), (second,))
            connection.execute(update(packs).where(*unfinished_pack).values(pack_record(self._study_id, first)))

        self._write(change)

    def elapsed_seconds(self) -> float:
        """Return how many seconds the study has been RUNNING."""
        return self._read(lambda connection: read_elapsed(connection, self._study_id, datetime.now(UTC)))

    def record_limit(self, limit: Limit, reason: str) -> None:
        """Record that a budget ends the searches, and why; does nothing if one was recorded before.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        now = datetime.now(UTC)
        self._write(lambda connection: record_limit_reached(connection, self._study_id, limit, reason, now))

    def estimate(self) -> Estimate | None:
        """Return the study's estimate; None if none was saved."""
        return self._read(lambda connection: read_estimate(connection, self._study_id))

    def keep_estimate(self, estimate: Estimate) -> None:
        """Save the study's estimate, unless one was saved before.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        self._write(lambda connection: save_estimate(connection, self._study_id, estimate))

    def speeds(self, subject: Subject) -> tuple[Speed, ...]:
        """Return the measured speeds of a subject, from any study; may be empty."""
        return self._read(lambda connection: read_speeds(connection, subject))

    def save_speeds(self, subject: Subject, speeds: Sequence[Speed]) -> None:
        """Replace the measured speeds of a subject.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        self._write(lambda connection: replace_speeds(connection, subject, speeds))

    def record_wait(self, reason: str) -> None:
        """Save what the study's next pack waits for; empty if it does not wait for long.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        change = update(studies).where(studies.c.id == self._study_id).values(waiting=reason or None)
        self._write(lambda connection: connection.execute(change))

    def save_report(self, files: Mapping[str, bytes]) -> None:
        """Replace the report's files, by name; also allowed while the study is being cancelled.

        Raises:
            StoppedError: The claim was lost.
        """
        records = [{"study": self._study_id, "file": file, "content": content} for file, content in files.items()]

        def change(connection: Connection) -> None:
            connection.execute(delete(reports).where(reports.c.study == self._study_id))
            if records:
                connection.execute(insert(reports), records)

        self._write(change, HELD)

    def end(self, to: State, reason: str) -> None:
        """End the study.

        Args:
            to: SUCCEEDED or FAILED.
            reason: Why; may be empty.

        Raises:
            StoppedError: The claim was lost, or the study's state does not allow writes.
        """
        now = datetime.now(UTC)
        self._write(lambda connection: transition(connection, self._study_id, to, reason, token=self._token, now=now))

    def release(self) -> None:
        """Release the claim: a running study is queued, a paused one stays PAUSED, a cancelling one becomes CANCELLED.

        Raises:
            StoppedError: The claim was lost.
        """
        retry_on_disconnect(lambda: self._store.release(self._study_id, self._token))

    def _read(self, read: Callable[[Connection], Value]) -> Value:
        """Read in one transaction, and retry if the connection is lost."""

        def read_once() -> Value:
            with self._store.reading() as connection:
                return read(connection)

        return retry_on_disconnect(read_once)

    def _write(self, change: Callable[[Connection], object], states: tuple[State, ...] = WRITABLE) -> None:
        """Write in one transaction, if the claim is valid and the study is in one of the states."""
        held_study = (
            select(studies.c.id)
            .where(studies.c.id == self._study_id, has_state(states), studies.c.lease_token == self._token)
            .with_for_update()
        )

        def write() -> None:
            with self._store.writing() as connection:
                if connection.execute(held_study).one_or_none() is None:
                    raise lease_lost(self._study_id)
                change(connection)

        retry_on_disconnect(write)


def _insert_plan(connection: Connection, study_id: str, new_trials: Sequence[Trial], new_packs: Sequence[Pack]) -> None:
    if new_packs:
        # a plan's numbers follow one another; as a list they might be more than a statement takes
        numbers = [pack.number for pack in new_packs]
        is_new = packs.c.number.between(min(numbers), max(numbers))
        if connection.execute(select(packs.c.number).where(packs.c.study == study_id, is_new).limit(1)).first():
            return
        connection.execute(insert(packs), [pack_record(study_id, pack) for pack in new_packs])
    if new_trials:
        connection.execute(insert(trials), [trial_record(study_id, trial) for trial in new_trials])


def _reset_failed_attempts(connection: Connection, study_id: str) -> None:
    connection.execute(update(studies).where(studies.c.id == study_id).values(failed_attempts=0))


def _finish_pack(connection: Connection, study_id: str, pack: Pack, finished_runs: Sequence[Run]) -> None:
    _reset_failed_attempts(connection, study_id)
    marked = connection.execute(
        update(packs)
        .where(packs.c.study == study_id, packs.c.number == pack.number, packs.c.done.is_(False))
        .values(done=True, seconds=pack.seconds, host=pack.host, threads=pack.threads, mode=pack.mode.value)
    )
    if marked.rowcount == 0:
        return
    if finished_runs:
        connection.execute(insert(runs), [run_record(study_id, run) for run in finished_runs])
        add_to_run_counts(connection, finished_runs)
    series_rows = [record for run in finished_runs for record in series_records(study_id, run)]
    if series_rows:
        connection.execute(insert(series), series_rows)
