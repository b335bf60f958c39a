"""Commands on studies in every state, once and twice, with and without a driver."""

from datetime import UTC, datetime

import pytest

from service.errors import UnknownStudyError, WrongStateError
from service.states import State
from service.storage.entities import Claim
from service.storage.lifecycle import commands
from service.storage.repositories.studies import Command, Store
from studies.errors import StoppedError
from studies.spec.study import StudySpec

pytestmark = [pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True), pytest.mark.heavy]

LEASE = 3600.0


class Case:
    """A study and its claim, which may have expired.

    Args:
        store: The database.
        spec: The study.
    """

    def __init__(self, store: Store, spec: StudySpec) -> None:
        """Add the study."""
        self.store, self.id = store, store.add_study(spec, datetime.now(UTC))

    def claim(self) -> Claim:
        """Claim the study."""
        claim = self.store.claim(datetime.now(UTC), LEASE)
        assert claim is not None
        assert claim.study_id == self.id
        return claim

    def bring_to(self, where: str) -> None:
        """Bring the study into a state; `PAUSED, held` is paused and still held by its driver."""
        if where == "QUEUED":
            return
        if where == "PAUSED":
            self.store.execute(self.id, commands.pause)
            return
        self.claim()
        match where:
            case "PAUSED, held":
                self.store.execute(self.id, commands.pause)
            case "CANCELLING":
                self.store.execute(self.id, commands.cancel)
            case "CANCELLED":
                self.store.execute(self.id, commands.cancel)
                self.store.transition(self.id, State.CANCELLED, "")
            case "SUCCEEDED" | "FAILED":
                self.store.transition(self.id, State(where), "")
            case _:
                assert where == "RUNNING"


@pytest.fixture
def case(store: Store, spec: StudySpec) -> Case:
    """A queued study."""
    return Case(store, spec)


ALLOWED = [
    (commands.pause, "QUEUED", State.PAUSED),
    (commands.pause, "RUNNING", State.PAUSED),
    (commands.pause, "PAUSED", State.PAUSED),
    (commands.pause, "PAUSED, held", State.PAUSED),
    (commands.resume, "QUEUED", State.QUEUED),
    (commands.resume, "RUNNING", State.RUNNING),
    (commands.resume, "PAUSED", State.QUEUED),
    (commands.resume, "PAUSED, held", State.RUNNING),
    (commands.cancel, "QUEUED", State.CANCELLED),
    (commands.cancel, "RUNNING", State.CANCELLING),
    (commands.cancel, "PAUSED", State.CANCELLED),
    (commands.cancel, "PAUSED, held", State.CANCELLING),
    (commands.cancel, "CANCELLING", State.CANCELLING),
    (commands.cancel, "CANCELLED", State.CANCELLED),
    (commands.retry, "QUEUED", State.QUEUED),
    (commands.retry, "RUNNING", State.RUNNING),
    (commands.retry, "PAUSED", State.PAUSED),
    (commands.retry, "PAUSED, held", State.PAUSED),
    (commands.retry, "FAILED", State.QUEUED),
]
STATES = ("QUEUED", "RUNNING", "PAUSED", "PAUSED, held", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED")
COMMANDS = (commands.pause, commands.resume, commands.cancel, commands.retry)
REFUSED = [
    (command, where)
    for command in COMMANDS
    for where in STATES
    if (command, where) not in [(v, start) for v, start, _ in ALLOWED]
]


@pytest.mark.parametrize(("command", "start", "end"), ALLOWED)
def test_a_verb_leads_there_and_may_be_asked_twice(case: Case, command: Command, start: str, end: State) -> None:
    case.bring_to(start)
    assert case.store.execute(case.id, command) is end
    assert case.store.study(case.id).state is case.store.state(case.id) is end
    events = len(case.store.events(case.id))
    assert case.store.execute(case.id, command) is end
    assert len(case.store.events(case.id)) == events


@pytest.mark.parametrize(("command", "start"), REFUSED)
def test_a_verb_that_a_state_does_not_allow_changes_nothing(case: Case, command: Command, start: str) -> None:
    case.bring_to(start)
    before = case.store.study(case.id), case.store.events(case.id)
    with pytest.raises(WrongStateError, match=f"is {before[0].state}; it cannot"):
        case.store.execute(case.id, command)
    assert (case.store.study(case.id), case.store.events(case.id)) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_study_is_named(store: Store, command: Command) -> None:
    with pytest.raises(UnknownStudyError, match="no study has the id"):
        store.execute("0" * 20, command)


def test_a_paused_study_is_not_claimed_and_its_driver_keeps_it_until_it_lets_go(case: Case) -> None:
    claim = case.claim()
    case.store.execute(case.id, commands.pause)
    assert case.store.claim(datetime.now(UTC), LEASE) is None
    assert case.store.heartbeat(case.id, claim.token, datetime.now(UTC), LEASE) is State.PAUSED

    case.store.release(case.id, claim.token)

    assert case.store.state(case.id) is State.PAUSED
    assert case.store.claim(datetime.now(UTC), LEASE) is None
    with pytest.raises(StoppedError):
        case.store.release(case.id, claim.token)
    assert case.store.execute(case.id, commands.resume) is State.QUEUED
    assert case.claim().attempt == 2


def test_a_study_resumed_while_its_driver_lets_go_is_queued(case: Case) -> None:
    claim = case.claim()
    case.store.execute(case.id, commands.pause)
    assert case.store.execute(case.id, commands.resume) is State.RUNNING
    case.store.release(case.id, claim.token)
    assert case.store.state(case.id) is State.QUEUED


def test_a_retried_study_has_not_ended(case: Case) -> None:
    case.bring_to("FAILED")
    assert case.store.study(case.id).ended_at is not None
    case.store.execute(case.id, commands.retry)
    assert case.store.study(case.id).ended_at is None
    case.claim()
