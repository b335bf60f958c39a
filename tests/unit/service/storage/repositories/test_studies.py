"""The repository of studies: states, claims, leases and pages; and the runners' catalogue."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from service.errors import (
    BadCursorError,
    KeyReusedError,
    NoCatalogueError,
    NoReportError,
    UnknownReportFileError,
    UnknownStudyError,
    WrongStateError,
)
from service.runner.ledger import StudyLedger
from service.states import ENDED, SOURCES, State
from service.storage.engine import open_engine
from service.storage.entities import IdempotencyKey
from service.storage.lifecycle import commands
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from service.storage.tables import events
from studies.errors import StoppedError
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue

pytestmark = [pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True), pytest.mark.heavy]

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LEASE = 30.0


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def noted(store: Store, study_id: str) -> list[tuple[str, str]]:
    query = select(events.c.kind, events.c.message).where(events.c.study == study_id).order_by(events.c.id)
    with store.reading() as connection:
        return [(kind, message) for kind, message in connection.execute(query)]


def bring_to(store: Store, spec: StudySpec, state: State) -> str:
    study_id = store.add_study(spec, NOW)
    if state is not State.QUEUED:
        assert store.claim(NOW, LEASE) is not None
    if state is State.CANCELLED:
        store.execute(study_id, commands.cancel)
    if state not in (State.QUEUED, State.RUNNING):
        store.transition(study_id, state, "for the test")
    return study_id


def test_a_study_reads_back_as_it_was_added(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)

    row = store.study(study_id)

    assert (row.id, row.spec, row.spec_hash) == (study_id, spec, spec.content_hash)
    assert (row.state, row.reason, row.attempt) == (State.QUEUED, "", 0)
    assert (row.created_at, row.started_at, row.ended_at) == (NOW, None, None)
    assert (row.environment, row.mlflow_experiment) == (None, None)


def test_a_study_posted_again_with_its_key_is_that_study(store: Store, spec: StudySpec) -> None:
    key = IdempotencyKey(key="mine", digest="a" * 64)
    assert store.find_by_idempotency_key(key) is None
    study_id = store.add_study(spec, NOW, key)
    assert store.find_by_idempotency_key(key) == store.add_study(spec, later(1), key) == study_id
    assert len(store.studies(10).items) == 1
    for other in (replace(key, digest="b" * 64), replace(key, digest="")):
        with pytest.raises(KeyReusedError, match=f"the key 'mine' came with another study before, {study_id}"):
            store.add_study(spec, NOW, other)
    assert store.add_study(spec, NOW, replace(key, key="other")) != study_id


def test_a_study_posted_again_with_another_priority_is_refused(store: Store, spec: StudySpec) -> None:
    key = IdempotencyKey(key="mine", digest="a" * 64)
    study_id = store.add_study(spec, NOW, key, priority=-5)
    assert store.add_study(spec, NOW, key, priority=-5) == study_id
    words = f"the key 'mine' came with the priority -5 before, for study {study_id}, and with 0 now"
    with pytest.raises(KeyReusedError, match=words):
        store.add_study(spec, NOW, key)
    with pytest.raises(KeyReusedError, match=words):
        store.find_by_idempotency_key(key)


def test_a_key_of_another_owner_is_another_key(store: Store, spec: StudySpec) -> None:
    key = IdempotencyKey(key="mine", digest="a" * 64)
    ids = {owner: store.add_study(spec, NOW, key, owner) for owner in (None, "ada", "bob")}
    assert len(set(ids.values())) == 3
    for owner, study_id in ids.items():
        assert store.find_by_idempotency_key(key, owner) == store.add_study(spec, NOW, key, owner) == study_id
        assert store.study(study_id).owner == owner
    other = replace(key, digest="b" * 64)
    assert store.find_by_idempotency_key(other, "eve") is None
    with pytest.raises(KeyReusedError) as refused:
        store.find_by_idempotency_key(other, "bob")
    assert ids["bob"] in str(refused.value)


def test_a_study_posted_by_many_at_once_with_one_key_is_one_study(store: Store, spec: StudySpec) -> None:
    key = IdempotencyKey(key="mine", digest="a" * 64)
    with ThreadPoolExecutor(8) as pool:
        ids = {future.result() for future in [pool.submit(store.add_study, spec, NOW, key) for _ in range(40)]}
    assert [row.id for row in store.studies(10).items] == list(ids)


@pytest.mark.parametrize("study_id", ["", "0" * 20, "nonsense", "\x00", "\ud800", "x" * 10_000])
def test_an_unknown_id_is_named(store: Store, study_id: str) -> None:
    with pytest.raises(UnknownStudyError, match="no study has the id"):
        store.study(study_id)
    with pytest.raises(UnknownStudyError):
        store.run_page(study_id, 10)
    with pytest.raises(UnknownStudyError):
        store.report_file(study_id, "report.json")


def test_studies_come_newest_first_in_pages(store: Store, spec: StudySpec) -> None:
    ids = [store.add_study(spec, later(i)) for i in range(5)]

    first = store.studies(2)
    second = store.studies(2, first.next_cursor)
    last = store.studies(2, second.next_cursor)

    assert [row.id for page in (first, second, last) for row in page.items] == ids[::-1]
    assert last.next_cursor is None
    assert store.studies(5).next_cursor is None


def test_a_foreign_cursor_is_refused(store: Store) -> None:
    with pytest.raises(BadCursorError, match="'1; DROP TABLE' is no cursor"):
        store.studies(2, "1; DROP TABLE")


def test_the_oldest_queued_study_is_claimed_first(store: Store, spec: StudySpec) -> None:
    first, second = (store.add_study(spec, later(i)) for i in range(2))

    claims = [store.claim(later(10), LEASE) for _ in range(3)]

    assert [claim and claim.study_id for claim in claims] == [first, second, None]
    assert store.study(first).state is State.RUNNING
    assert store.study(first).started_at == later(10)


def test_a_study_whose_lease_ran_out_is_claimed_again(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    lost = store.claim(NOW, LEASE)
    assert lost is not None
    assert store.claim(later(LEASE - 1), LEASE) is None

    taken = store.claim(later(LEASE + 1), LEASE)

    assert taken is not None
    assert (taken.study_id, taken.attempt) == (study_id, 2)
    assert taken.token != lost.token
    assert store.study(study_id).started_at == NOW
    with pytest.raises(StoppedError):
        store.heartbeat(study_id, lost.token, later(LEASE + 2), LEASE)
    with pytest.raises(StoppedError):
        store.transition(study_id, State.SUCCEEDED, "", lost.token)
    with pytest.raises(StoppedError):
        store.release(study_id, lost.token)
    assert store.heartbeat(study_id, taken.token, later(LEASE + 2), LEASE) is State.RUNNING


def test_a_heartbeat_keeps_the_lease_and_tells_of_a_cancellation(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    claim = store.claim(NOW, LEASE)
    assert claim is not None

    assert store.heartbeat(study_id, claim.token, later(20), LEASE) is State.RUNNING
    assert store.claim(later(40), LEASE) is None
    store.execute(study_id, commands.cancel)
    assert store.heartbeat(study_id, claim.token, later(45), LEASE) is State.CANCELLING
    store.transition(study_id, State.CANCELLED, "cancelled by request", claim.token)
    with pytest.raises(StoppedError):
        store.heartbeat(study_id, claim.token, later(46), LEASE)


def test_a_released_study_is_queued_again(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    first = store.claim(NOW, LEASE)
    assert first is not None

    store.release(study_id, first.token)

    assert store.study(study_id).state is State.QUEUED
    second = store.claim(later(1), LEASE)
    assert second is not None
    assert second.attempt == 2


@pytest.mark.parametrize("to", list(State))
@pytest.mark.parametrize("start", list(State))
def test_only_the_known_transitions_happen(store: Store, spec: StudySpec, start: State, to: State) -> None:
    study_id = bring_to(store, spec, start)
    before = (store.study(study_id), noted(store, study_id))

    if start in SOURCES[to]:
        store.transition(study_id, to, "because")
        row = store.study(study_id)
        assert (row.state, row.reason) == (to, "because")
        assert (row.ended_at is not None) == (to in ENDED)
        assert noted(store, study_id) == [*before[1], (to.value, "because")]
    else:
        with pytest.raises(WrongStateError, match=f"is {start}; it cannot become {to}"):
            store.transition(study_id, to, "because")
        assert (store.study(study_id), noted(store, study_id)) == before


def test_a_cancellation_that_no_driver_answers_ends(store: Store, spec: StudySpec) -> None:
    abandoned, held = store.add_study(spec, NOW), store.add_study(spec, later(1))
    store.claim(NOW, LEASE)
    store.claim(later(1), 10 * LEASE)
    for study_id in (abandoned, held):
        store.execute(study_id, commands.cancel)

    store.end_abandoned_cancellations(later(LEASE + 1))

    assert store.study(abandoned).state is State.CANCELLED
    assert store.study(abandoned).ended_at == later(LEASE + 1)
    assert store.study(held).state is State.CANCELLING


def test_the_environment_is_noted_until_the_end_and_the_experiment_after_it_too(store: Store, spec: StudySpec) -> None:
    study_id = bring_to(store, spec, State.RUNNING)

    store.set_environment(study_id, {"torch": "2.13.0", "cpus": 2})
    store.transition(study_id, State.SUCCEEDED, "")
    store.set_experiment(study_id, "17")

    row = store.study(study_id)
    assert (row.environment, row.mlflow_experiment) == ({"torch": "2.13.0", "cpus": 2}, "17")
    with pytest.raises(WrongStateError, match="SUCCEEDED"):
        store.set_environment(study_id, {})


def test_the_catalogue_is_the_last_one_published(store: Store, catalogue: Catalogue) -> None:
    with pytest.raises(NoCatalogueError, match="no runner has published"):
        Runners(store).catalogue()

    Runners(store).publish(catalogue)
    assert Runners(store).catalogue() == catalogue

    fewer = catalogue.model_copy(update={"workloads": catalogue.workloads[:1]})
    Runners(store).publish(fewer)
    assert Runners(store).catalogue() == fewer


def test_a_missing_report_is_explained(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    with pytest.raises(NoReportError, match="is QUEUED"):
        store.report_file(study_id, "report.json")

    claim = store.claim(NOW, LEASE)
    assert claim is not None
    StudyLedger(store, study_id, claim.token).save_report({"report.json": b"{}"})
    with pytest.raises(UnknownReportFileError, match=r"it has report\.json"):
        store.report_file(study_id, "curves.svg")
    assert store.report_file(study_id, "report.json") == b"{}"
    assert store.report_files(study_id) == ("report.json",)


def test_the_reason_of_a_failure_is_told_in_place_of_the_report(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    store.transition(study_id, State.FAILED, "the data are missing")

    with pytest.raises(NoReportError, match="is FAILED: the data are missing"):
        store.report_file(study_id, "report.json")


def test_making_the_tables_again_keeps_what_is_there(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    store.migrate()
    assert store.study(study_id).spec == spec


def test_each_study_is_claimed_by_one_thread_only(store: Store, spec: StudySpec) -> None:
    ids = [store.add_study(spec, later(i)) for i in range(20)]

    with ThreadPoolExecutor(8) as pool:
        claims = [future.result() for future in [pool.submit(store.claim, later(30), LEASE) for _ in range(40)]]

    assert sorted(claim.study_id for claim in claims if claim is not None) == ids


@pytest.mark.slow
def test_several_processes_open_a_new_database_at_once(database: str, spec: StudySpec) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        ids = [pool.submit(add_in_process, database, spec) for _ in range(8)]
        added = {future.result() for future in ids}

    engine = open_engine(database)
    assert {row.id for row in Store(engine).studies(20).items} == added
    assert len(added) == 8
    engine.dispose()


def add_in_process(url: str, spec: StudySpec) -> str:
    engine = open_engine(url)
    opened = Store(engine)
    opened.migrate()
    study_id = opened.add_study(spec, datetime.now(UTC))
    engine.dispose()
    return study_id
