"""Lists of studies filtered by state, by part of the name, and by archiving."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.states import State
from service.storage.lifecycle import commands
from service.storage.lifecycle.commands import archive
from service.storage.repositories.listing import StudyFilter
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.unit.service.storage.repositories.test_studies import bring_to

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
#: Names with characters that are special in SQL patterns and literals.
NAMES = (
    "100%",
    "100 percent",
    "a_b",
    "aXb",
    r"a\b",
    "a/b",
    "A/_%",
    "it's",
    '"x"',
    "Ärger",
    "ärger",
    "中文 %",
    "--",
    "",
    "a b",
)


def add(store: Store, spec: StudySpec, names: tuple[str, ...] = NAMES) -> dict[str, str]:
    """Add studies in order, and return their names by id."""
    return {
        store.add_study(spec.model_copy(update={"name": name}), NOW + timedelta(seconds=i)): name
        for i, name in enumerate(names)
    }


def list_ids(store: Store, wanted: StudyFilter, limit: int = 200) -> list[str]:
    """Return the ids of all pages."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = store.studies(limit, cursor, wanted)
        assert len(page.items) <= limit
        ids += [head.id for head in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return ids


def test_any_part_of_any_name_is_found_and_nothing_else(store: Store, spec: StudySpec) -> None:
    names = add(store, spec)

    @given(st.text(alphabet="aAbBx10%_\\/ '\"-Ää中", max_size=4) | st.sampled_from(NAMES), st.sampled_from([1, 4, 200]))
    def check(part: str, limit: int) -> None:
        # ASCII only: the case of other letters depends on the database
        fitting = [each for each, name in names.items() if part.encode().lower() in name.encode().lower()]
        assert list_ids(store, StudyFilter(name=part), limit) == fitting[::-1]

    check()


def test_states_are_alternatives(store: Store, spec: StudySpec) -> None:
    # QUEUED last, so that the others do not claim that study
    order = sorted(State, key=lambda state: state is State.QUEUED)
    there = {bring_to(store, spec, state): state for state in order}

    @given(st.lists(st.sampled_from(State)))
    def check(states: list[State]) -> None:
        fitting = [each for each, state in there.items() if not states or state in states]
        assert list_ids(store, StudyFilter(states=tuple(states)), limit=2) == sorted(fitting, reverse=True)

    check()


def test_filters_are_combined(store: Store, spec: StudySpec) -> None:
    names = add(store, spec, ("sweep 1", "sweep 2", "sweep 3", "other"))
    first, second, third, other = names
    for study_id in (first, second, other):
        store.execute(study_id, commands.cancel)
    for study_id in (first, other):
        store.execute(study_id, archive)

    assert list_ids(store, StudyFilter(name="SWEEP")) == [third, second]
    assert list_ids(store, StudyFilter(name="sweep", states=(State.CANCELLED,))) == [second]
    assert list_ids(store, StudyFilter(archived=True)) == [other, first]
    assert list_ids(store, StudyFilter(archived=True, name="eep", states=(State.CANCELLED,))) == [first]
    assert list_ids(store, StudyFilter(archived=True, states=(State.QUEUED,))) == []
