"""Studies whose drivers and runners die: retried, and FAILED after too many attempts without progress."""

from datetime import UTC, datetime, timedelta

import pytest

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.entities import Claim
from service.storage.lifecycle import commands
from service.storage.lifecycle.leases import MAX_FAILED_ATTEMPTS
from service.storage.repositories.studies import Command, Store
from studies.spec.study import StudySpec
from tests.unit.service.runner.test_ledger import done, runs_of, some_pack, some_trial

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LEASE = 30.0


@pytest.fixture
def study(store: Store, spec: StudySpec) -> str:
    return store.add_study(spec, NOW)


def claimed(store: Store, now: datetime = NOW) -> Claim:
    claim = store.claim(now, LEASE)
    assert claim is not None
    return claim


def test_it_has_failed_when_its_drivers_die_in_vain(store: Store, study: str) -> None:
    for death in range(1, MAX_FAILED_ATTEMPTS + 1):
        state = store.release(study, claimed(store).token, "it died")
        assert state is (State.QUEUED if death < MAX_FAILED_ATTEMPTS else State.FAILED)
    assert store.study(study).reason == f"{MAX_FAILED_ATTEMPTS} times in a row: it died"
    assert [event.reason for event in store.events(study) if event.state is State.QUEUED] == [
        "",
        *["it died"] * (MAX_FAILED_ATTEMPTS - 1),
    ]
    store.execute(study, commands.retry)
    assert store.release(study, claimed(store).token, "it died") is State.QUEUED


def test_it_goes_on_where_a_pack_was_trained_in_between(store: Store, study: str) -> None:
    for number in range(2 * MAX_FAILED_ATTEMPTS):
        claim = claimed(store)
        ledger, pack = StudyLedger(store, study, claim.token), some_pack(number)
        ledger.add_plan([some_trial(number)], [pack])
        ledger.finish_pack(done(pack), runs_of(pack))
        assert store.release(study, claim.token, "it died") is State.QUEUED


def test_it_goes_on_where_a_long_pack_got_further(store: Store, study: str) -> None:
    for _ in range(2 * MAX_FAILED_ATTEMPTS):
        claim = claimed(store)
        StudyLedger(store, study, claim.token).record_progress()
        assert store.release(study, claim.token, "it died") is State.QUEUED


def test_it_goes_on_where_its_runner_was_asked_to_stop(store: Store, study: str) -> None:
    for _ in range(2 * MAX_FAILED_ATTEMPTS):
        assert store.release(study, claimed(store).token) is State.QUEUED


def test_it_has_failed_when_its_runners_die_in_vain(store: Store, study: str) -> None:
    now = NOW
    while store.claim(now, LEASE) is not None:
        now += timedelta(seconds=LEASE + 1)
    failed = store.study(study)
    assert (failed.state, failed.attempt) == (State.FAILED, MAX_FAILED_ATTEMPTS + 1)
    assert "with no pack trained" in failed.reason


@pytest.mark.parametrize(("command", "end"), [(commands.pause, State.PAUSED), (commands.cancel, State.CANCELLED)])
def test_what_was_asked_meanwhile_holds_when_its_driver_dies(
    store: Store, spec: StudySpec, command: Command, end: State
) -> None:
    study = store.add_study(spec, NOW)
    claim = claimed(store)
    store.execute(study, command)
    assert store.release(study, claim.token, "it died") is store.state(study) is end
    assert store.study(study).lease_expires_at is None
