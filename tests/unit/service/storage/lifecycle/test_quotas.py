"""The division of an owner's GPU quota among its running studies."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.storage.lifecycle import commands
from service.storage.lifecycle.quotas import GpuShare, read_gpu_share
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@given(whole=st.integers(0, 100), parts=st.integers(1, 10))
def test_all_parts_make_the_whole_and_are_even(whole: int, parts: int) -> None:
    portions = [GpuShare(index=place, count=parts).portion_of(whole) for place in range(parts)]
    assert sum(portions) == whole
    assert max(portions) - min(portions) <= 1
    assert portions == sorted(portions, reverse=True)


@pytest.mark.parametrize(
    ("gpus", "each", "packs"), [(2, 0.5, 4), (0.3, 0.1, 3), (1, 0.3, 3), (1.9, 1, 1), (0.5, 1, 0), (4, 2, 2)]
)
def test_so_many_packs_fit(gpus: float, each: float, packs: int) -> None:
    assert GpuShare(index=0, count=1).max_packs(gpus, each) == packs


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_study_shares_with_those_of_its_owner_that_are_driven(store: Store, spec: StudySpec) -> None:
    ids = [store.add_study(spec, NOW + timedelta(seconds=number), owner=owner) for number, owner in enumerate("xxyx")]
    anonymous = [store.add_study(spec, NOW + timedelta(seconds=10 + number)) for number in range(2)]
    for _ in range(5):
        assert store.claim(NOW, 30.0) is not None  # all but the last of x

    def share_of(study_id: str) -> GpuShare:
        with store.reading() as connection:
            return read_gpu_share(connection, study_id, NOW)

    assert [share_of(study_id) for study_id in ids[:3]] == [
        GpuShare(index=0, count=2),
        GpuShare(index=1, count=2),
        GpuShare(index=0, count=1),
    ]
    assert [share_of(study_id) for study_id in anonymous] == [GpuShare(index=0, count=2), GpuShare(index=1, count=2)]
    store.execute(ids[3], commands.cancel)
    assert share_of(ids[0]) == GpuShare(index=0, count=2)
