"""Streams that wait for what happens to their studies."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.api.event_watcher import EventWatcher
from service.settings import Settings
from service.storage.engine import open_engine
from service.storage.lifecycle import commands
from service.storage.repositories.deletions import Deletions
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec

pytestmark = pytest.mark.heavy

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_those_who_wait_for_a_study_are_told_and_no_others(store: Store, spec: StudySpec) -> None:
    first, second = store.add_study(spec, NOW), store.add_study(spec, NOW)
    seen = store.latest_events([first, second])
    watcher = EventWatcher(store)

    async def follow() -> None:
        both = [asyncio.create_task(watcher.wait_for_event_after(first, seen[first])) for _ in range(20)]
        other = asyncio.create_task(watcher.wait_for_event_after(second, seen[second]))
        await asyncio.sleep(0.05)
        store.execute(first, commands.pause)
        await asyncio.wait_for(asyncio.gather(*both), 10)
        assert not other.done()
        store.execute(second, commands.cancel)
        await asyncio.wait_for(other, 10)
        await asyncio.wait_for(watcher.wait_for_event_after(first, seen[first]), 10)  # long since there

    asyncio.run(follow())


def test_one_that_waits_no_more_is_forgotten(store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    seen = store.latest_events([study_id])[study_id]
    watcher = EventWatcher(store)

    async def follow() -> None:
        gone, stays = (asyncio.create_task(watcher.wait_for_event_after(study_id, seen)) for _ in range(2))
        await asyncio.sleep(0.05)
        gone.cancel()
        store.execute(study_id, commands.pause)
        await asyncio.wait_for(stays, 10)
        assert gone.cancelled()

    asyncio.run(follow())


def test_those_who_wait_for_a_study_that_is_deleted_are_told(store: Store, spec: StudySpec, tmp_path: Path) -> None:
    study_id = store.add_study(spec, NOW)
    seen = store.latest_events([study_id])[study_id]
    watcher = EventWatcher(store)

    async def follow() -> None:
        waits = asyncio.create_task(watcher.wait_for_event_after(study_id, seen))
        await asyncio.sleep(0.05)
        store.execute(study_id, commands.cancel)
        Deletions(Settings(home=tmp_path), store).delete(study_id, NOW, mlflow=False)
        await asyncio.wait_for(waits, 10)

    asyncio.run(follow())


def test_nobody_waits_for_ever(store: Store, spec: StudySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.event_watcher._MAX_WAIT_SECONDS", 0.2)
    study_id = store.add_study(spec, NOW)
    seen = store.latest_events([study_id])[study_id]
    asyncio.run(asyncio.wait_for(EventWatcher(store).wait_for_event_after(study_id, seen), 10))


def test_those_who_wait_learn_that_the_database_does_not_answer() -> None:
    watcher = EventWatcher(Store(open_engine("sqlite://")))  # one without tables

    async def follow() -> None:
        with pytest.raises(OperationalError):
            await asyncio.wait_for(watcher.wait_for_event_after("0" * 20, 0), 10)

    asyncio.run(follow())
