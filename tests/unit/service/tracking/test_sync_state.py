"""The record of unfinished studies and of runs recorded in MLflow."""

from datetime import UTC, datetime, timedelta

import pytest

from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.repositories.studies import Store
from service.tracking.sync_state import SyncState
from studies.records.rows import Series
from studies.spec.study import StudySpec
from tests.unit.service.runner.test_ledger import done, runs_of, some_pack, some_trial

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def recordings(store: Store) -> SyncState:
    return SyncState(store)


def test_a_study_is_unfinished_from_its_first_driver_on_until_mlflow_has_it_all(
    store: Store, recordings: SyncState, spec: StudySpec
) -> None:
    first, second, _waiting = (store.add_study(spec, NOW + timedelta(seconds=i)) for i in range(3))
    assert recordings.unfinished() == ()

    for _ in range(2):
        claim = store.claim(NOW, 30.0)
        assert claim is not None
        store.set_environment(claim.study_id, {})
    assert recordings.unfinished() == (first, second)

    store.transition(first, State.SUCCEEDED, "")
    assert recordings.unfinished() == (first, second)
    recordings.finish(store.study(first), NOW, found=0)
    assert recordings.unfinished() == (second,)


@pytest.mark.parametrize("state", [State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLING])
def test_runs_are_marked_one_by_one_whatever_became_of_the_study(
    store: Store, recordings: SyncState, spec: StudySpec, state: State
) -> None:
    study_id = store.add_study(spec, NOW)
    claim = store.claim(NOW, 30.0)
    assert claim is not None
    ledger = StudyLedger(store, study_id, claim.token)
    pack = some_pack(lanes=3)
    runs = runs_of(pack, (Series(name="train_loss", steps=(1,), values=(0.5,)),))
    ledger.add_plan([some_trial()], [pack])
    ledger.finish_pack(done(pack), runs)
    if state is not State.RUNNING:
        store.transition(study_id, state, "")

    rows = recordings.untracked_runs(study_id, 2)
    assert [row.run for row in rows] == runs[:2]
    assert [row.setting for row in rows] == [some_trial().setting] * 2
    for row in rows:
        recordings.mark_tracked(study_id, row.run)

    (last,) = recordings.untracked_runs(study_id, 2)
    assert last.run == runs[2]
    recordings.mark_tracked(study_id, last.run)
    assert recordings.untracked_runs(study_id, 2) == ()
