"""Webhook deliveries to a real receiver: signed, in order, retried until accepted, none lost."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from service.states import State
from service.storage.engine import open_engine
from service.storage.entities import Webhook
from service.storage.lifecycle import commands, outbox
from service.storage.repositories.studies import Store
from service.webhooks import http_client
from service.webhooks.dispatcher import WebhookDispatcher
from service.webhooks.http_client import WebhookClient
from service.webhooks.subscriptions import Webhooks
from studies.spec.study import StudySpec
from tests.support.paths import ROOT
from tests.support.services.webhook_receiver import Receiver, receiver, verify

pytestmark = [pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True), pytest.mark.heavy]

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten polling and backoff."""
    monkeypatch.setattr("service.webhooks.dispatcher._POLL_SECONDS", 0.02)
    monkeypatch.setattr(outbox, "INITIAL_BACKOFF_SECONDS", 0.1)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as hook:
        yield hook


@pytest.fixture
def dispatcher(store: Store) -> Iterator[WebhookDispatcher]:
    dispatcher = WebhookDispatcher(store, WebhookClient(allow_private=True))
    yield dispatcher
    dispatcher.stop()


def added(store: Store, hook: Receiver, *states: State) -> Webhook:
    return Webhooks(store).add(hook.url, states, datetime.now(UTC))


def change_states(store: Store, spec: StudySpec) -> str:
    """Add a study that is queued, running, paused and failed in turn; return its id."""
    study_id = store.add_study(spec, datetime.now(UTC))
    claim = store.claim(NOW, 30)
    assert claim is not None
    store.execute(study_id, commands.pause)
    store.transition(study_id, State.FAILED, "no data")
    return study_id


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_happens_is_told_in_its_order_and_signed(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher
) -> None:
    change_states(store, spec)  # before any webhook is registered
    webhook = added(store, hook)
    dispatcher.start()
    ids = [change_states(store, spec) for _ in range(2)]
    got = hook.until(8)
    for each in got:
        verify(webhook.secret, each)
        assert each.headers["content-type"] == "application/json"
    assert [(each.said["data"]["study"], each.said["data"]["state"]) for each in got] == [
        (study_id, state) for study_id in ids for state in ("QUEUED", "RUNNING", "PAUSED", "FAILED")
    ]
    last = got[-1].said
    assert last["type"] == "study.failed"
    assert last["data"]["reason"] == "no data"
    assert datetime.fromisoformat(last["timestamp"]) == store.events(ids[1])[-1].at
    assert len({each.message for each in got}) == 8
    until(lambda: Webhooks(store).get(webhook.id).pending_deliveries == 0)


def test_only_the_states_that_were_asked_for(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher
) -> None:
    added(store, hook, State.FAILED, State.SUCCEEDED)
    change_states(store, spec)
    dispatcher.start()
    assert [each.said["type"] for each in hook.until(1)] == ["study.failed"]


def test_what_is_not_taken_is_sent_again_until_it_is(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher
) -> None:
    webhook = added(store, hook)
    hook.answer = lambda _: 500 if len(hook.got) <= 3 else 200
    change_states(store, spec)
    before = datetime.now(UTC)
    dispatcher.start()
    hook.until(2)
    until(lambda: Webhooks(store).get(webhook.id).failing_since is not None)
    failing = Webhooks(store).get(webhook.id)
    assert (failing.last_error, failing.pending_deliveries, failing.dropped_deliveries) == ("answered 500", 4, 0)
    assert failing.failing_since is not None
    assert failing.failing_since >= before
    got = hook.until(7)
    assert len({each.message for each in got[:4]}) == 1
    assert [each.said["data"]["state"] for each in got[3:]] == ["QUEUED", "RUNNING", "PAUSED", "FAILED"]
    for each in got:
        verify(webhook.secret, each)
    until(lambda: Webhooks(store).get(webhook.id).pending_deliveries == 0)
    well = Webhooks(store).get(webhook.id)
    assert (well.failing_since, well.last_error) == (None, "")


def test_a_dead_receiver_gets_it_when_it_is_back(store: Store, spec: StudySpec, dispatcher: WebhookDispatcher) -> None:
    with receiver() as dead:
        port = dead.port
        webhook = added(store, dead)
    change_states(store, spec)
    dispatcher.start()
    until(lambda: "no connection: refused" in Webhooks(store).get(webhook.id).last_error)
    with receiver(port) as back:
        assert [each.said["data"]["state"] for each in back.until(4)] == ["QUEUED", "RUNNING", "PAUSED", "FAILED"]


def test_one_that_hangs_holds_up_nothing_but_itself(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "TIMEOUT_SECONDS", 1.0)
    release = threading.Event()
    with receiver() as hanging:
        hanging.answer = lambda _: 200 if release.wait(60) else 500
        stuck = [added(store, hanging) for _ in range(10)]
        added(store, hook)
        dispatcher.start()
        change_states(store, spec)
        hook.until(4)
        assert not any(Webhooks(store).get(each.id).pending_deliveries < 4 for each in stuck)
        until(lambda: all(Webhooks(store).get(each.id).last_error == "no answer within 1 s" for each in stuck))
        release.set()


def test_a_fault_of_ours_is_not_repeated_at_once(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = added(store, hook)
    monkeypatch.setattr(outbox, "INITIAL_BACKOFF_SECONDS", 60.0)
    posted_urls: list[str] = []

    async def broken(_client: WebhookClient, url: str, _content: bytes, _headers: dict[str, str]) -> None:
        posted_urls.append(url)
        raise ZeroDivisionError

    monkeypatch.setattr(WebhookClient, "post", broken)
    change_states(store, spec)
    dispatcher.start()
    until(lambda: "fault of the service" in Webhooks(store).get(webhook.id).last_error)
    time.sleep(0.3)
    assert posted_urls == [hook.url]


def test_what_could_not_be_told_for_a_day_is_dropped_and_counted(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = added(store, hook)
    change_states(store, spec)
    hook.answer = lambda _: 500 if len(hook.got) <= 2 else 200
    monkeypatch.setattr(outbox, "MAX_DELIVERY_AGE", timedelta(0))
    dispatcher.start()
    assert [each.said["data"]["state"] for each in hook.until(4)] == ["QUEUED", "RUNNING", "PAUSED", "FAILED"]
    until(lambda: Webhooks(store).get(webhook.id).pending_deliveries == 0)
    assert Webhooks(store).get(webhook.id).dropped_deliveries == 2


def test_waits_double_up_to_an_hour(store: Store, spec: StudySpec, hook: Receiver) -> None:
    webhook = added(store, hook)
    store.add_study(spec, datetime.now(UTC))
    now, waits = datetime.now(UTC), list[float]()
    for _ in range(20):
        with store.writing() as connection:
            delivery = outbox.next_delivery(connection, webhook.id, now, 30)
            assert delivery is not None
            assert not outbox.mark_failed(connection, delivery, "answered 500", now)
            outbox.release_webhook(connection, webhook.id)
        due = 0.05
        while not _taken(store, now + timedelta(seconds=due)):
            due *= 2
        waits.append(due)
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert 3600 <= waits[-1] < 7200


def _taken(store: Store, now: datetime) -> bool:
    with store.writing() as connection:
        webhook_ids = outbox.lease_due_webhooks(connection, now, 30, 10)
        for webhook_id in webhook_ids:
            outbox.release_webhook(connection, webhook_id)
    return bool(webhook_ids)


def test_two_dispatchers_tell_everything_once(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher
) -> None:
    with receiver() as other:
        for each in (hook, other):
            added(store, each)
        second = WebhookDispatcher(store, WebhookClient(allow_private=True))
        dispatcher.start()
        second.start()
        for _ in range(5):
            change_states(store, spec)
        for each in (hook, other):
            each.until(20)
        second.stop()
        time.sleep(0.2)
        for each in (hook, other):
            assert len(each.got) == len({got.message for got in each.got}) == 20


_PROCESS = """
import sys, time
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store
from service.webhooks import dispatcher
from service.webhooks.http_client import WebhookClient

dispatcher._POLL_SECONDS = 0.02
dispatcher._LEASE_SECONDS = 1.0
dispatcher.WebhookDispatcher(Store(open_engine(sys.argv[1])), WebhookClient(allow_private=True)).start()
time.sleep(600)
"""


def test_a_process_that_is_killed_loses_nothing(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher, database: str
) -> None:
    added(store, hook)
    release = threading.Event()
    hook.answer = lambda _: 200 if len(hook.got) != 2 or release.wait(60) else 500
    change_states(store, spec)
    process = subprocess.Popen([sys.executable, "-c", _PROCESS, database], cwd=ROOT)
    try:
        hook.until(2)
    finally:
        process.kill()
        process.wait()
    release.set()
    dispatcher.start()
    states = [each.said["data"]["state"] for each in hook.until(5)]
    assert states == ["QUEUED", "RUNNING", "RUNNING", "PAUSED", "FAILED"]
    assert hook.got[1].message == hook.got[2].message  # its response was lost; the id marks the duplicate


def test_a_change_that_is_not_kept_is_not_told(store: Store, spec: StudySpec, hook: Receiver) -> None:
    webhook = added(store, hook)

    def undone() -> None:
        with store.writing() as connection:
            outbox.enqueue_deliveries(connection, "0" * 20, State.FAILED, "", NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    assert Webhooks(store).get(webhook.id).pending_deliveries == 0


def test_what_changes_at_once_is_all_told(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher, database: str
) -> None:
    """PostgreSQL's sequence order is not its commit order."""
    added(store, hook, State.FAILED)
    dispatcher.start()
    ids = [store.add_study(spec, NOW + timedelta(seconds=i)) for i in range(30)]

    def fail(some: list[str]) -> None:
        engine = open_engine(database)
        for study_id in some:
            Store(engine).transition(study_id, State.FAILED, "")
        engine.dispose()

    threads = [threading.Thread(target=fail, args=(ids[start::6],)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.said["data"]["study"] for each in hook.until(30)} == set(ids)


def test_one_that_is_removed_is_told_nothing_more(
    store: Store, spec: StudySpec, hook: Receiver, dispatcher: WebhookDispatcher
) -> None:
    gone = added(store, hook)
    change_states(store, spec)
    Webhooks(store).remove(gone.id)
    dispatcher.start()
    with receiver() as other:
        added(store, other)
        change_states(store, spec)
        other.until(4)
    assert hook.got == []
