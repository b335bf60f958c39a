"""The whole service on PostgreSQL, undisturbed and with every connection cut again and again."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import create_engine, func, make_url, select

from service.cli.serve import run_service, service_processes
from service.client.client import Client
from service.client.connection import RequestRefusedError
from service.processes.child_process import ChildProcess
from service.schemas.studies import StudyResponse
from service.settings import Settings
from service.states import ENDED, State
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from service.storage.tables import runners
from tests.integration.test_study import SMALL
from tests.support.recorded import mlflow_runs
from tests.support.services import postgres as postgresql

pytestmark = [pytest.mark.parametrize("database", ["postgresql"], indirect=True), pytest.mark.slow]

#: Seconds between two cuts.
EVERY = 0.7


@pytest.fixture
def own(database: str, tmp_path: Path, settings_of: Callable[[Path], Settings]) -> Iterator[Settings]:
    """The settings of a service on a database of PostgreSQL."""
    chosen = settings_of(tmp_path).model_copy(update={"database": database})
    with run_service(chosen, Console(quiet=True)):
        yield chosen


def ended(client: Client, study_id: str) -> StudyResponse:
    """Wait until a study has ended, whatever the service answers meanwhile."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with contextlib.suppress(RequestRefusedError):  # 503: its connection was just cut
            for study in client.watch(study_id):
                if study.state in ENDED:
                    return study
    raise AssertionError(f"study {study_id} does not end")


def cut_all(folder: Path, database: str, stop: threading.Event, cuts: list[int]) -> None:
    """End every connection to the database, again and again."""
    name = make_url(database).database
    engine = create_engine(postgresql.address(folder, "postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        while not stop.wait(EVERY):
            query = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
            cuts.append(int(connection.exec_driver_sql(query).scalar_one()))
    engine.dispose()


def test_a_study_is_the_same_with_every_connection_cut_again_and_again(
    own: Settings, postgres: Path, comparable: Callable[[bytes], bytes]
) -> None:
    stop, cuts = threading.Event(), list[int]()
    with Client(own.url) as client:
        undisturbed = ended(client, client.submit(SMALL).id)
        study_id = client.submit(SMALL).id
        cutting = threading.Thread(target=cut_all, args=(postgres, own.database, stop, cuts))
        cutting.start()
        try:
            cut = ended(client, study_id)
        finally:
            stop.set()
            cutting.join()
        assert (undisturbed.state, cut.state) == (State.SUCCEEDED, State.SUCCEEDED)
        assert comparable(client.report(cut.id)) == comparable(client.report(undisturbed.id))
        assert len(list(client.runs(cut.id))) == cut.progress.done
    assert sum(cuts) > 10
    keys = [run.data.tags["l4.run"] for run in mlflow_runs(own, cut.id)]
    assert len(keys) == len(set(keys)) == 1 + cut.progress.done


def test_two_runners_share_the_queue_and_never_a_study(own: Settings, tmp_path: Path) -> None:
    other = own.model_copy(update={"home": tmp_path / "other"})
    other.home.mkdir()
    second = ChildProcess(service_processes(other)[-1].spec)
    try:
        with Client(own.url) as client:
            _until_runners(own, 2)
            ids = [client.submit(SMALL).id for _ in range(4)]
            studies = [ended(client, study_id) for study_id in ids]
        assert {study.state for study in studies} == {State.SUCCEEDED}
        driven = [
            [study_id for study_id in ids if f"study {study_id} is driven" in log.read_text()]
            for log in (own.home / "logs" / "runner.log", other.home / "logs" / "runner.log")
        ]
        assert sorted(driven[0] + driven[1]) == ids
        assert all(driven)
        engine = open_engine(own.database_url)
        for study_id in ids:
            taken = [event.reason for event in Store(engine).events(study_id) if event.state is State.RUNNING]
            assert taken == ["attempt 1"]
        engine.dispose()
    finally:
        second.terminate()
        second.wait()


def _until_runners(settings: Settings, count: int) -> None:
    """Wait until so many runners are at work."""
    engine = open_engine(settings.database_url)
    deadline = time.monotonic() + 120
    found = 0
    while found < count:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        with Store(engine).reading() as connection:
            found = connection.execute(select(func.count()).select_from(runners)).scalar_one()
    engine.dispose()
