"""Lost PostgreSQL connections within a transaction: no row is lost or written twice."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from studies.errors import StoppedError
from studies.records.rows import Rows
from studies.spec.study import StudySpec
from tests.support.services.postgres import address
from tests.unit.service.runner.test_ledger import done, runs_of, some_pack, some_trial

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

#: Statement numbers before which the connection is cut; no step has more statements.
STATEMENTS = range(1, 7)


class Cut:
    """Cuts an engine's connection once: before a statement, or after a commit whose confirmation is then lost.

    Args:
        engine: The engine.
        folder: The PostgreSQL server's folder.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Listen to the engine's statements and commits."""
        self._other = create_engine(address(folder, "postgres"), isolation_level="AUTOCOMMIT")
        self.before, self.done, self._count = 0, False, 0
        self.unheard = False
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", self._commit)

    def _statement(self, connection: Connection, *_rest: object) -> None:
        self._count += 1
        if not self.done and self._count == self.before:
            self.done = True
            process = connection.connection.driver_connection.info.backend_pid  # pyright: ignore
            with self._other.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({process}, 5000)")

    def _commit(self, connection: Connection) -> None:
        if self.unheard:
            self.unheard = False
            connection.connection.driver_connection.commit()  # pyright: ignore
            raise OperationalError("COMMIT", {}, ConnectionError("nothing was heard of it"))

    def start(self, before: int) -> None:
        """Count statements from now on, and cut the connection before the given one."""
        self.before, self.done, self._count = before, False, 0

    def close(self) -> None:
        """Close the connections of this object."""
        self._other.dispose()


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    opened = open_engine(database)
    Store(opened).migrate()
    yield opened
    opened.dispose()


@pytest.fixture
def cut(engine: Engine, postgres: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cut]:
    monkeypatch.setattr("service.storage.engine._RETRY_DELAY_SECONDS", 0.01)
    cut = Cut(engine, postgres)
    yield cut
    cut.close()


@pytest.fixture
def ledger(engine: Engine, spec: StudySpec) -> StudyLedger:
    store = Store(engine)
    study_id = store.add_study(spec, datetime.now(UTC))
    claim = store.claim(datetime.now(UTC), 3600)
    assert claim is not None
    return StudyLedger(store, study_id, claim.token)


@pytest.mark.parametrize("before", STATEMENTS)
@pytest.mark.parametrize("what", ["plan", "pack", "rows"])
def test_rows_are_written_once_and_whole(ledger: StudyLedger, cut: Cut, what: str, before: int) -> None:
    pack = some_pack()
    whole = Rows(trials=(some_trial(),), packs=(done(pack),), runs=tuple(runs_of(pack)))
    steps: dict[str, Callable[[], object]] = {
        "plan": lambda: ledger.add_plan([some_trial()], [pack]),
        "pack": lambda: ledger.finish_pack(done(pack), runs_of(pack)),
        "rows": lambda: ledger.rows(series=True),
    }
    for name, step in steps.items():
        if name == what:
            cut.start(before)
        step()
        if name == what:
            assert cut.done or before > 2
            cut.start(0)
    assert ledger.rows(series=True) == whole


@pytest.mark.parametrize("before", STATEMENTS)
def test_a_study_ends_once(ledger: StudyLedger, engine: Engine, cut: Cut, before: int) -> None:
    cut.start(before)
    ledger.end(State.SUCCEEDED, "")
    assert cut.done or before > 2
    cut.start(0)
    store = Store(engine)
    study = store.studies(1).items[0]
    assert [each.state for each in store.events(study.id)] == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
    with pytest.raises(StoppedError):
        ledger.end(State.SUCCEEDED, "")


def test_what_was_kept_but_not_heard_of_is_not_done_twice(ledger: StudyLedger, engine: Engine, cut: Cut) -> None:
    pack = some_pack()
    steps: list[Callable[[], object]] = [
        lambda: ledger.add_plan([some_trial()], [pack]),
        lambda: ledger.finish_pack(done(pack), runs_of(pack)),
        lambda: ledger.save_report({"report.json": b"{}"}),
    ]
    for step in steps:
        cut.unheard = True
        step()
        assert not cut.unheard
    whole = Rows(trials=(some_trial(),), packs=(done(pack),), runs=tuple(runs_of(pack)))
    assert ledger.rows(series=True) == whole
    cut.unheard = True
    with pytest.raises(StoppedError):  # the commit succeeded, so that the retry finds the study ended
        ledger.end(State.SUCCEEDED, "")
    store = Store(engine)
    study = store.studies(1).items[0]
    assert (study.state, store.report_files(study.id)) == (State.SUCCEEDED, ("report.json",))
    assert [each.state for each in store.events(study.id)] == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
