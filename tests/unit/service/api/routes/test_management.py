"""Cancelling many studies at once: each for itself, whatever its state."""

from datetime import UTC, datetime

import pytest

from service.api.routes.management import cancel_all
from service.roles import Role
from service.schemas.requests import CANCELLABLE, CancelRequest
from service.states import State
from service.storage.entities import Caller
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.unit.service.storage.repositories.test_studies import bring_to

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

ANYBODY = Caller(key_id=None, name=None, role=Role.ADMIN)
#: Where a study is after it was asked to be cancelled; None where it is refused.
AFTER: dict[State, State | None] = {
    State.RUNNING: State.CANCELLING,
    State.PAUSED: State.CANCELLED,  # the driver's claim has run out
    State.CANCELLING: State.CANCELLING,
    State.SUCCEEDED: None,
    State.FAILED: None,
    State.CANCELLED: State.CANCELLED,
    State.QUEUED: State.CANCELLED,
}


@pytest.fixture
def there(store: Store, spec: StudySpec) -> dict[State, str]:
    """A study in every state."""
    return {state: bring_to(store, spec, state) for state in AFTER}


def test_each_of_some_ids_is_answered_in_order(store: Store, there: dict[State, str]) -> None:
    unknown = ("0" * 20, "nonsense", "\x00")
    ids = (unknown[0], *there.values(), *unknown[1:], there[State.QUEUED])
    for _ in range(2):
        found = cancel_all(store, CancelRequest(ids=ids), ANYBODY)
        assert [each.id for each in found.studies] == list(ids[:-1])
        assert not found.more
        answers = {each.id: each for each in found.studies}
        for start, end in AFTER.items():
            each = answers[there[start]]
            assert each.state is end
            assert store.state(there[start]) is (start if end is None else end)
            if end is None:
                assert each.problem is not None
                assert (each.problem.status, each.problem.type) == (409, "urn:l4-studies:problem:wrong-state")
                assert start in each.problem.detail
            else:
                assert each.problem is None
        for study_id in unknown:
            problem = answers[study_id].problem
            assert answers[study_id].state is None
            assert problem is not None
            assert problem.status == 404


def test_a_filter_finds_only_what_can_be_cancelled(store: Store, there: dict[State, str]) -> None:
    found = cancel_all(store, CancelRequest(name="SMALL"), ANYBODY)
    assert {each.id: each.state for each in found.studies} == {there[state]: AFTER[state] for state in CANCELLABLE}
    assert [each.id for each in found.studies] == sorted((each.id for each in found.studies), reverse=True)
    assert cancel_all(store, CancelRequest(name="SMALL"), ANYBODY).studies == ()
    assert store.state(there[State.FAILED]) is State.FAILED


def test_a_filter_by_state_and_name(store: Store, spec: StudySpec) -> None:
    now = datetime.now(UTC)
    sweeps = [store.add_study(spec.model_copy(update={"name": f"sweep_{i}"}), now) for i in range(3)]
    other = store.add_study(spec, now)
    assert cancel_all(store, CancelRequest(state=(State.RUNNING,)), ANYBODY).studies == ()
    found = cancel_all(store, CancelRequest(state=(State.QUEUED,), name="sweep_"), ANYBODY)
    assert [each.id for each in found.studies] == sorted(sweeps, reverse=True)
    assert store.state(other) is State.QUEUED
    assert [each.id for each in cancel_all(store, CancelRequest(state=(State.QUEUED,)), ANYBODY).studies] == [other]


def test_more_than_one_request_takes_is_said(store: Store, spec: StudySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.routes.management.MAX_CANCELLED", 2)
    ids = [store.add_study(spec, datetime.now(UTC)) for _ in range(3)]
    first, second = (cancel_all(store, CancelRequest(state=(State.QUEUED,)), ANYBODY) for _ in range(2))
    assert (len(first.studies), first.more) == (2, True)
    assert ([each.id for each in second.studies], second.more) == ([min(ids)], False)
