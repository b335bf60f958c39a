"""Archiving and unarchiving studies in every state, once and twice."""

import pytest

from service.errors import UnknownStudyError, WrongStateError
from service.storage.lifecycle import commands
from service.storage.lifecycle.commands import archive, unarchive
from service.storage.repositories.listing import StudyFilter
from service.storage.repositories.studies import Command, Store
from studies.spec.study import StudySpec
from tests.unit.service.storage.lifecycle.test_commands import STATES, Case

pytestmark = [pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True), pytest.mark.heavy]

ENDS = ("SUCCEEDED", "FAILED", "CANCELLED")


@pytest.fixture
def case(store: Store, spec: StudySpec) -> Case:
    """A queued study."""
    return Case(store, spec)


def listed(case: Case) -> tuple[bool, bool]:
    """Return whether the default list has the study, and whether the list of archived studies has it."""
    lists = (case.store.studies(10, study_filter=StudyFilter(archived=archived)).items for archived in (False, True))
    usual, archived = ([study.id for study in studies] for studies in lists)
    return case.id in usual, case.id in archived


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_study_is_put_away_and_back_and_nothing_else_changes(case: Case, end: str) -> None:
    case.bring_to(end)
    before, events = case.store.study(case.id), case.store.events(case.id)
    assert listed(case) == (True, False)

    assert case.store.execute(case.id, archive) == end
    since = case.store.study(case.id).archived_at
    assert since is not None
    assert listed(case) == (False, True)
    assert case.store.execute(case.id, archive) == end
    assert case.store.study(case.id).archived_at == since

    for _ in range(2):
        assert case.store.execute(case.id, unarchive) == end
        assert listed(case) == (True, False)
        assert (case.store.study(case.id), case.store.events(case.id)) == (before, events)


@pytest.mark.parametrize("start", [state for state in STATES if state not in ENDS])
@pytest.mark.parametrize("command", [archive, unarchive])
def test_a_study_that_goes_on_stays_where_it_is(case: Case, command: Command, start: str) -> None:
    case.bring_to(start)
    before = case.store.study(case.id)
    with pytest.raises(WrongStateError, match=f"is {before.state}; it cannot be (un)?archived: .* cancel it first"):
        case.store.execute(case.id, command)
    assert case.store.study(case.id) == before
    assert listed(case) == (True, False)


@pytest.mark.parametrize("command", [archive, unarchive])
def test_an_unknown_study_is_named(store: Store, command: Command) -> None:
    with pytest.raises(UnknownStudyError, match="no study has the id"):
        store.execute("0" * 20, command)


def test_a_study_that_is_retried_is_in_the_lists_again(case: Case) -> None:
    case.bring_to("FAILED")
    case.store.execute(case.id, archive)
    case.store.execute(case.id, commands.retry)
    assert case.store.study(case.id).archived_at is None
    assert listed(case) == (True, False)
