"""The snapshot's counts after every kind of change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.engine import open_engine
from service.storage.entities import Claim
from service.storage.lifecycle import commands
from service.storage.lifecycle.outbox import mark_delivered, mark_failed, next_delivery
from service.storage.repositories.runners import Runners
from service.storage.repositories.snapshot import Snapshot, read_snapshot
from service.storage.repositories.studies import Store
from service.storage.tables import packs, runs, trials
from service.tracking.sync_state import SyncState
from service.webhooks.subscriptions import Webhooks
from studies.records.rows import Mode, Outcome
from studies.spec.study import StudySpec
from tests.unit.service.runner.test_ledger import done, runs_of, some_pack, some_trial

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def take_snapshot(store: Store, now: datetime = NOW) -> Snapshot:
    with store.reading() as connection:
        return read_snapshot(connection, now)


def claimed(store: Store) -> Claim:
    claim = store.claim(NOW, 30.0)
    assert claim is not None
    return claim


def test_an_empty_database(store: Store) -> None:
    assert take_snapshot(store) == Snapshot(
        studies=dict.fromkeys(State, 0),
        queued_seconds=0.0,
        runs=dict.fromkeys(Outcome, 0),
        lanes=0,
        occupied_lanes=0,
        unrecorded_runs=0,
        runners=0,
        pending_deliveries=0,
        failing_webhooks=0,
    )


def test_studies_and_the_queue(store: Store, spec: StudySpec) -> None:
    ids = [store.add_study(spec, NOW + timedelta(seconds=i)) for i in range(3)]
    later = NOW + timedelta(minutes=1)
    snapshot = take_snapshot(store, later)
    assert (snapshot.studies[State.QUEUED], snapshot.queued_seconds) == (3, 60.0)
    claimed(store)
    snapshot = take_snapshot(store, later)
    assert (snapshot.studies[State.QUEUED], snapshot.studies[State.RUNNING], snapshot.queued_seconds) == (2, 1, 59.0)
    store.execute(ids[1], commands.cancel)
    store.execute(ids[2], commands.cancel)
    store.execute(ids[0], commands.pause)
    snapshot = take_snapshot(store, later)
    assert (snapshot.studies[State.CANCELLED], snapshot.studies[State.PAUSED], snapshot.queued_seconds) == (2, 1, 0.0)


def test_one_that_is_queued_again_has_waited_since_then(store: Store, spec: StudySpec) -> None:
    store.add_study(spec, NOW)
    claim = claimed(store)
    assert store.release(claim.study_id, claim.token) is State.QUEUED
    assert take_snapshot(store, datetime.now(UTC)).queued_seconds < 60


def test_runs_are_counted_as_they_are_done_and_stay_counted(store: Store, spec: StudySpec, database: str) -> None:
    store.add_study(spec, NOW)
    claim = claimed(store)
    ledger, pack = StudyLedger(store, claim.study_id, claim.token), some_pack(lanes=3)
    ledger.add_plan([some_trial()], [pack])
    assert (take_snapshot(store).lanes, take_snapshot(store).occupied_lanes) == (3, 3)
    first, *others = runs_of(pack)
    for _ in range(2):  # a pack that is written twice is counted once
        ledger.finish_pack(done(pack), [replace(first, outcome=Outcome.DIVERGED), *others])
    snapshot = take_snapshot(store)
    assert snapshot.runs == {Outcome.FINISHED: 2, Outcome.DIVERGED: 1, Outcome.STOPPED: 0}
    assert (snapshot.unrecorded_runs, snapshot.lanes) == (3, 0)
    SyncState(store).mark_tracked(claim.study_id, first)
    assert take_snapshot(store).unrecorded_runs == 2

    another = open_engine(database)  # as in another process
    assert take_snapshot(Store(another)) == take_snapshot(store)
    another.dispose()
    with store.writing() as connection:
        for table in (runs, packs, trials):
            connection.execute(delete(table))
    assert take_snapshot(store).runs == snapshot.runs
    assert take_snapshot(store).unrecorded_runs == 0


def test_dead_lanes_are_lanes_without_a_run(store: Store, spec: StudySpec) -> None:
    store.add_study(spec, NOW)
    claim = claimed(store)
    ledger = StudyLedger(store, claim.study_id, claim.token)
    wide = replace(some_pack(0, lanes=5), mode=Mode.COMPILED, width=8)
    ledger.add_plan([some_trial(0), some_trial(1)], [wide, some_pack(1, lanes=2)])
    assert (take_snapshot(store).lanes, take_snapshot(store).occupied_lanes) == (10, 7)
    ledger.finish_pack(done(wide), runs_of(wide))
    assert (take_snapshot(store).lanes, take_snapshot(store).occupied_lanes) == (2, 2)
    assert take_snapshot(store, NOW + timedelta(minutes=1)).lanes == 0  # the lease expired: no driver trains them


def test_runners_at_work(store: Store) -> None:
    Runners(store).heartbeat("first", NOW, seconds=60)
    Runners(store).heartbeat("second", NOW, seconds=10)
    assert take_snapshot(store).runners == 2
    assert take_snapshot(store, NOW + timedelta(seconds=30)).runners == 1
    Runners(store).remove("first")
    assert take_snapshot(store, NOW + timedelta(seconds=30)).runners == 0


def test_what_webhooks_are_to_be_told(store: Store, spec: StudySpec) -> None:
    webhook = Webhooks(store).add("http://receiver.test", (), NOW)
    store.add_study(spec, NOW)
    claimed(store)
    assert (take_snapshot(store).pending_deliveries, take_snapshot(store).failing_webhooks) == (2, 0)
    with store.writing() as connection:
        delivery = next_delivery(connection, webhook.id, NOW, 30)
        assert delivery is not None
        mark_failed(connection, delivery, "answered 500", NOW)
    assert (take_snapshot(store).pending_deliveries, take_snapshot(store).failing_webhooks) == (2, 1)
    with store.writing() as connection:
        mark_delivered(connection, delivery)
    assert (take_snapshot(store).pending_deliveries, take_snapshot(store).failing_webhooks) == (1, 0)
