"""A study's elapsed time, reached budget and estimate."""

from datetime import UTC, datetime, timedelta

import pytest

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.lifecycle import commands
from service.storage.lifecycle.leases import claim_next, release
from service.storage.lifecycle.transitions import transition
from service.storage.repositories.studies import Store
from service.storage.repositories.time_budget import read_elapsed, read_estimate, save_estimate
from studies.errors import StoppedError
from studies.planning.estimate import ArmSpeeds, Basis, estimate
from studies.planning.throughput import Speed
from studies.records.rows import Limit, Mode
from studies.spec.study import StudySpec

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

START = datetime(2026, 1, 2, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_time_passes_only_while_a_study_runs(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, START)

    def elapsed(seconds: float) -> float:
        with store.reading() as connection:
            return read_elapsed(connection, study_id, at(seconds))

    assert elapsed(5) == 0.0
    with store.writing() as connection:
        first = claim_next(connection, at(10), 1e6, None)
    assert first is not None
    assert elapsed(15) == 5.0
    with store.writing() as connection:
        release(connection, study_id, first.token, "", at(20))  # the runner stops
    assert elapsed(90) == 10.0
    with store.writing() as connection:
        assert claim_next(connection, at(100), 1.0, None) is not None
    with store.writing() as connection:
        again = claim_next(connection, at(110), 1e6, None)  # the lease expired
    assert again is not None
    assert elapsed(115) == 25.0
    with store.writing() as connection:
        commands.pause(connection, study_id, at(120))
    assert elapsed(500) == 30.0
    with store.writing() as connection:
        commands.resume(connection, study_id, at(600))
        transition(connection, study_id, State.SUCCEEDED, "", token=again.token, now=at(607))
    assert elapsed(10_000) == 37.0


def test_a_budget_is_reached_once_and_by_who_holds_the_study(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, START)
    claim = store.claim(START, 1e6, None)
    assert claim is not None
    ledger = StudyLedger(store, study_id, claim.token)
    assert ledger.rows().reached is None
    for limit in (Limit.SECONDS, Limit.SECONDS, Limit.GPU_HOURS):
        ledger.record_limit(limit, f"the budget of {limit}")
    assert ledger.rows().reached is Limit.SECONDS
    assert [(each.state, each.reason) for each in store.events(study_id)][2:] == [
        (State.RUNNING, "the budget of seconds")
    ]
    with pytest.raises(StoppedError):
        StudyLedger(store, study_id, "another").record_limit(Limit.SECONDS, "")


def test_the_first_estimate_stays(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, START)
    known_speeds = [
        ArmSpeeds(speeds=(Speed(lanes=1, mode=Mode.EAGER, seconds=each),), basis=Basis.GUESS, source="a guess")
        for each in (0.1, 0.2)
    ]
    first, second = (estimate(spec, dict.fromkeys(spec.pairs, known)) for known in known_speeds)
    with store.writing() as connection:
        assert read_estimate(connection, study_id) is None
        save_estimate(connection, study_id, first)
        save_estimate(connection, study_id, second)
        assert read_estimate(connection, study_id) == first
