"""The order of the queue, with priorities, several owners and their limits."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.storage.lifecycle import commands
from service.storage.lifecycle.queue import OwnerUsage, QueuedStudy, fair_order
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LEASE = 30.0
both = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def waiting(*studies: tuple[str, str | None, int]) -> list[QueuedStudy]:
    return [QueuedStudy(id=id, name="", owner=owner, priority=priority) for id, owner, priority in studies]


def ids(studies: Sequence[QueuedStudy], served: dict[str | None, OwnerUsage] | None = None) -> str:
    return "".join(study.id for study in fair_order(studies, served or {}))


def test_the_oldest_is_first_where_there_is_one_owner() -> None:
    assert ids(waiting(("c", None, 0), ("a", None, 0), ("b", None, 0))) == "abc"


def test_the_urgent_are_first_whoever_has_posted_them() -> None:
    assert ids(waiting(("a", "x", 0), ("b", "x", 5), ("c", "y", -1), ("d", "x", 5))) == "bdac"


def test_owners_take_turns() -> None:
    assert ids(waiting(("a", "x", 0), ("b", "x", 0), ("c", "x", 0), ("d", "y", 0), ("e", "z", 0))) == "adebc"


def test_who_has_most_in_training_is_last() -> None:
    studies = waiting(("a", "x", 0), ("b", "x", 0), ("c", "y", 0), ("d", "y", 0), ("e", "y", 0))
    assert ids(studies, {"x": OwnerUsage(running=2)}) == "cdaeb"


def test_who_was_served_longest_ago_is_first() -> None:
    studies = waiting(("a", "x", 0), ("b", "y", 0), ("c", "z", 0))
    served: dict[str | None, OwnerUsage] = {
        "x": OwnerUsage(last_started_at=NOW),
        "y": OwnerUsage(last_started_at=NOW - timedelta(days=1)),
    }
    assert ids(studies, served) == "cba"


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(-2, 2)), max_size=30),
    st.dictionaries(st.sampled_from("xyz"), st.builds(OwnerUsage, running=st.integers(0, 3))),
)
def test_each_is_there_once_and_nobody_overtakes_the_same_owner_or_the_more_urgent(
    entries: list[tuple[str, int]], served: dict[str | None, OwnerUsage]
) -> None:
    studies = waiting(*((f"{number:03}", owner, priority) for number, (owner, priority) in enumerate(entries)))
    order = list(fair_order(studies, served))
    assert sorted(study.id for study in order) == [study.id for study in studies]
    assert [study.priority for study in order] == sorted((study.priority for study in studies), reverse=True)
    for owner in "xyz":
        order_of_owner = [(-study.priority, study.id) for study in order if study.owner == owner]
        assert order_of_owner == sorted(order_of_owner)
    for priority in range(-2, 3):
        # at equal priority, the next owner is always one with the fewest studies
        had = {owner: served.get(owner, OwnerUsage()).running for owner in "xyz"}
        ahead = [study for study in order if study.priority > priority]
        for study in ahead:
            had[study.owner or ""] += 1
        left = [study.owner for study in order if study.priority == priority]
        while left:
            assert had[left[0] or ""] == min(had[owner or ""] for owner in left)
            had[left.pop(0) or ""] += 1


@both
def test_studies_are_claimed_in_the_order_of_the_queue(store: Store, spec: StudySpec) -> None:
    posted = {
        store.add_study(spec, NOW + timedelta(seconds=number), owner=owner, priority=priority): name
        for number, (name, owner, priority) in enumerate(
            [("a", "x", 0), ("b", "x", 0), ("c", "y", 0), ("d", None, 0), ("e", "x", 1)]
        )
    }
    queue_order = [posted[study.id] for study in store.queue(NOW)]
    claimed: list[str] = []
    while (claim := store.claim(NOW + timedelta(seconds=len(claimed)), LEASE)) is not None:
        claimed.append(posted[claim.study_id])
        left = [posted[study.id] for study in store.queue(NOW + timedelta(seconds=len(claimed)))]
        assert left == queue_order[len(claimed) :]
    assert claimed == queue_order == ["e", "c", "d", "a", "b"]


@both
def test_an_owner_has_no_more_in_training_than_allowed(store: Store, spec: StudySpec) -> None:
    for number, owner in enumerate("xxxy"):
        store.add_study(spec, NOW + timedelta(seconds=number), owner=owner)
    claims = [store.claim(NOW, LEASE, 1), store.claim(NOW, LEASE, 1)]
    assert {store.study(claim.study_id).owner for claim in claims if claim is not None} == {"x", "y"}
    assert store.claim(NOW, LEASE, 1) is None
    held = next(claim.study_id for claim in claims if claim and store.study(claim.study_id).owner == "x")
    store.execute(held, commands.cancel)
    store.end_abandoned_cancellations(NOW + timedelta(seconds=LEASE + 1))
    next_claim = store.claim(NOW + timedelta(seconds=1), LEASE, 1)
    assert next_claim is not None
    assert store.study(next_claim.study_id).owner == "x"


@both
def test_a_study_whose_lease_ran_out_is_before_the_queue(store: Store, spec: StudySpec) -> None:
    first = store.add_study(spec, NOW, owner="x")
    assert store.claim(NOW, LEASE) is not None
    store.add_study(spec, NOW, owner="y", priority=100)
    claim = store.claim(NOW + timedelta(seconds=LEASE + 1), LEASE)
    assert claim is not None
    assert claim.study_id == first
