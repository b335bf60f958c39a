"""Deletion of studies: complete, without effect on other studies, and finished after an interruption."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from service.errors import UnknownStudyError, WrongStateError
from service.runner.ledger import StudyLedger
from service.settings import Settings
from service.states import State
from service.storage.entities import IdempotencyKey
from service.storage.lifecycle import commands
from service.storage.repositories.deletions import Deletion, Deletions
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from service.storage.tables import deletions, metadata, tallies
from service.tracking.sync_state import SyncState
from studies.planning.throughput import Speed, Subject
from studies.records.rows import Mode, Series
from studies.spec.parameters import Precision
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue
from tests.unit.service.runner.test_ledger import done, runs_of, some_pack, some_trial
from tests.unit.service.storage.lifecycle.test_commands import STATES, Case

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ENDS = ("SUCCEEDED", "FAILED", "CANCELLED")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def removing(settings: Settings, store: Store) -> Deletions:
    return Deletions(settings, store)


@pytest.fixture
def case(store: Store, spec: StudySpec) -> Case:
    """A queued study."""
    return Case(store, spec)


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables, except the counts of finished runs."""

    def rows(connection: Connection, name: str) -> list[tuple[object, ...]]:
        table = metadata.tables[name]
        return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]

    with store.reading() as connection:
        return {table.name: rows(connection, table.name) for table in metadata.sorted_tables if table is not tallies}


def trained(store: Store, spec: StudySpec, settings: Settings, key: str) -> str:
    """Add a succeeded study with rows in every table and files of every kind."""
    study_id = store.add_study(spec, datetime.now(UTC), IdempotencyKey(key=key, digest="a" * 64))
    claim = store.claim(NOW, 1e9)
    assert claim is not None
    assert claim.study_id == study_id
    ledger = StudyLedger(store, study_id, claim.token)
    pack = some_pack()
    ledger.add_plan([some_trial()], [pack])
    series = (Series(name="train_loss", steps=(1, 2), values=(1.0, 0.5)),)
    ledger.finish_pack(done(pack), runs_of(pack, series))
    ledger.save_report({"report.json": b"{}", "curves.svg": b"<svg/>"})
    subject = Subject(
        workload="digits_mlp", options={}, optimizer="sgd", precision=Precision.FLOAT32, hardware="here", code="x"
    )
    ledger.save_speeds(subject, [Speed(lanes=1, mode=Mode.EAGER, seconds=1.0, compile_seconds=0.0)])
    ledger.end(State.SUCCEEDED, "")
    SyncState(store).finish(store.study(study_id), NOW, found=2)
    for file in (settings.driver_log(study_id), settings.parameters_folder(study_id) / "digits_mlp" / "parameters.pt"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("something")
    return study_id


def test_nothing_of_it_is_left_and_nothing_else_is_touched(
    store: Store, spec: StudySpec, catalogue: Catalogue, settings: Settings, removing: Deletions
) -> None:
    Runners(store).publish(catalogue)
    Runners(store).heartbeat("runner", NOW, 60.0)
    kept = trained(store, spec, settings, "its")
    before = everything(store)
    study_id = trained(store, spec, settings, "mine")
    outside = settings.home / "outside.txt"
    outside.write_text("not of it")
    (settings.study_folder(study_id) / "link").symlink_to(outside)
    (settings.study_folder(study_id) / "link to another").symlink_to(settings.study_folder(kept))
    grown = everything(store)
    assert {name for name in grown if len(grown[name]) > len(before[name])} == {
        table.name for table in metadata.sorted_tables if "study" in table.c and table is not deletions
    } | {"studies"}

    assert removing.delete(study_id, NOW, mlflow=False)

    assert everything(store) == before
    assert study_id not in str(everything(store))
    assert not settings.study_folder(study_id).exists()
    assert outside.read_text() == "not of it"
    assert settings.driver_log(kept).read_text() == "something"
    assert (settings.parameters_folder(kept) / "digits_mlp" / "parameters.pt").exists()
    with pytest.raises(UnknownStudyError):
        removing.delete(study_id, NOW, mlflow=False)
    assert removing.pending() == ()
    again = store.add_study(spec, NOW, IdempotencyKey(key="mine", digest="b" * 64))
    assert again != study_id


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_study_is_deleted_once(case: Case, removing: Deletions, end: str) -> None:
    case.bring_to(end)
    assert removing.delete(case.id, NOW, mlflow=False)
    for _ in range(2):
        with pytest.raises(UnknownStudyError, match="no study has the id"):
            removing.delete(case.id, NOW, mlflow=True)
    assert removing.pending() == ()
    assert case.store.studies(10).items == ()


@pytest.mark.parametrize("start", [state for state in STATES if state not in ENDS])
def test_a_study_that_goes_on_is_not_deleted(case: Case, removing: Deletions, start: str) -> None:
    case.bring_to(start)
    before = everything(case.store)
    with pytest.raises(WrongStateError, match=r"it cannot be deleted: .* cancel it first"):
        removing.delete(case.id, NOW, mlflow=True)
    assert everything(case.store) == before


@pytest.mark.parametrize("study_id", ["", "0" * 20, "..", "../studies", "x" * 10_000])
def test_an_unknown_id_removes_nothing(settings: Settings, removing: Deletions, study_id: str) -> None:
    file = settings.home / "studies" / "another" / "driver.log"
    file.parent.mkdir(parents=True)
    file.write_text("not of it")
    with pytest.raises(UnknownStudyError):
        removing.delete(study_id, NOW, mlflow=False)
    assert file.exists()
    assert removing.pending() == ()


def test_what_mlflow_has_of_it_is_noted_for_the_recorder(case: Case, settings: Settings, removing: Deletions) -> None:
    case.bring_to("FAILED")
    case.store.set_experiment(case.id, "17")
    settings.driver_log(case.id).parent.mkdir(parents=True)
    assert not removing.delete(case.id, NOW, mlflow=True)
    assert not settings.study_folder(case.id).exists()
    assert removing.pending() == (Deletion(study_id=case.id, experiment="17"),)
    for _ in range(2):
        removing.finish(case.id)
        assert removing.pending() == ()


def test_a_study_that_mlflow_has_nothing_of_is_deleted_at_once(case: Case, removing: Deletions) -> None:
    case.bring_to("FAILED")
    assert removing.delete(case.id, NOW, mlflow=True)
    assert removing.pending() == ()
    with pytest.raises(UnknownStudyError):
        case.store.set_experiment(case.id, "17")


def test_files_that_are_in_the_way_are_left_and_noted(
    case: Case, settings: Settings, removing: Deletions, tmp_path: Path
) -> None:
    case.bring_to("FAILED")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("not of it")
    settings.study_folder(case.id).parent.mkdir(parents=True)
    settings.study_folder(case.id).symlink_to(elsewhere)

    assert not removing.delete(case.id, NOW, mlflow=False)

    assert (elsewhere / "file").exists()
    with pytest.raises(UnknownStudyError):
        case.store.study(case.id)
    with pytest.raises(OSError, match="symbolic link"):
        removing.finish(case.id)
    assert removing.pending() == (Deletion(study_id=case.id, experiment=None),)
    settings.study_folder(case.id).unlink()
    removing.finish(case.id)
    assert removing.pending() == ()


def test_a_process_that_dies_in_between_leaves_the_rest_noted(
    case: Case, settings: Settings, removing: Deletions, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.bring_to("SUCCEEDED")
    settings.driver_log(case.id).parent.mkdir(parents=True)

    def die(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            removing.delete(case.id, NOW, mlflow=False)
    with pytest.raises(UnknownStudyError):
        case.store.study(case.id)
    assert removing.pending() == (Deletion(study_id=case.id, experiment=None),)
    removing.finish(case.id)
    assert not settings.study_folder(case.id).exists()
    assert removing.pending() == ()


def test_of_many_at_once_one_deletes_it(case: Case, removing: Deletions) -> None:
    case.bring_to("CANCELLED")

    def delete(_place: int) -> bool:
        try:
            return removing.delete(case.id, NOW, mlflow=False)
        except UnknownStudyError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(delete, range(16))) == 1
    assert removing.pending() == ()


def test_a_failed_study_is_either_retried_or_deleted(case: Case, removing: Deletions) -> None:
    case.bring_to("FAILED")
    case.store.execute(case.id, commands.retry)
    with pytest.raises(WrongStateError):
        removing.delete(case.id, NOW, mlflow=False)
    assert case.store.state(case.id) is State.QUEUED
