"""A study's events, as a stream of server-sent events."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.api.authorization import CallerDep, RequireRole
from service.api.dependencies import EventWatcherDep, StoreDep, StudyId
from service.api.problems import problem_responses
from service.api.streams import STREAM
from service.auth.keys import ApiKeys
from service.errors import UnknownStudyError
from service.roles import Role
from service.schemas.studies import EventResponse
from service.states import ENDED
from service.storage.entities import Caller, Event
from service.storage.repositories.studies import Store

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])


def _existing_study_id(study_id: StudyId, store: StoreDep) -> str:
    """Return the id of an existing study; checked here because a started response cannot change its status."""
    return store.study(study_id).id


@router.get(
    "/studies/{study_id}/events",
    dependencies=[STREAM],
    response_class=EventSourceResponse,
    responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def follow_events(
    study_id: Annotated[str, Depends(_existing_study_id)],
    store: StoreDep,
    event_watcher: EventWatcherDep,
    caller: CallerDep,
    last_event_id: Annotated[int, Header(ge=0, lt=2**31, description="Only events after the one with this id.")] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Stream a study's past and future events until it has ended; an event's name is the new state."""
    sent_id, ended = last_event_id, False
    while not ended:
        # the latest id is read from the database: a client may claim a later one
        latest_id, new_events, ended = await run_in_threadpool(_read_events, store, caller, study_id, sent_id)
        for event in new_events:
            sent_id = event.id
            data = EventResponse(at=event.at, state=event.state, reason=event.reason)
            yield ServerSentEvent(id=str(event.id), event=event.state.value, data=data)
        if not ended:
            await event_watcher.wait_for_event_after(study_id, latest_id)


def _read_events(store: Store, caller: Caller, study_id: str, sent_id: int) -> tuple[int, tuple[Event, ...], bool]:
    """Return the latest event's id, the events after `sent_id`, and whether the stream ends."""
    if caller.key_id is not None and ApiKeys(store).is_revoked(caller.key_id):
        return sent_id, (), True
    latest_id = store.latest_events([study_id]).get(study_id, 0)
    try:
        state, new_events = store.state(study_id), store.events(study_id, sent_id)
    except UnknownStudyError:
        return latest_id, (), True  # deleted meanwhile
    # a failed study may have been retried between the two queries
    return latest_id, new_events, (new_events[-1].state if new_events else state) in ENDED
