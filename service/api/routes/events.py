"""What happens to a study, as server-sent events."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.api.authorization import CallerDep, RequireRole
from service.api.dependencies import EventWatcherDep, StoreDep, StudyId
from service.api.problems import problem_responses
from service.auth.keys import Keys
from service.errors import UnknownStudyError
from service.roles import Role
from service.schemas.studies import EventResponse
from service.states import ENDED
from service.storage.entities import Caller, Event
from service.storage.repositories.studies import Store

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])


def _existing(study_id: StudyId, store: StoreDep) -> str:
    """Return the id of a study that there is; asked before the answer starts, whose status cannot be changed then."""
    return store.study(study_id).id


@router.get(
    "/studies/{study_id}/events",
    response_class=EventSourceResponse,
    responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def follow_events(
    study_id: Annotated[str, Depends(_existing)],
    store: StoreDep,
    event_watcher: EventWatcherDep,
    caller: CallerDep,
    last_event_id: Annotated[
        int, Header(ge=0, lt=2**31, description="Only what happened after the event of this id.")
    ] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Return what happened to a study and what happens to it, until it has ended; the event's name is the new state."""
    known, ended = last_event_id, False
    while not ended:
        # what was seen is the study's: a client may say that it knows more
        seen, found, ended = await run_in_threadpool(_look, store, caller, study_id, known)
        for event in found:
            known = event.id
            answer = EventResponse(at=event.at, state=event.state, reason=event.reason)
            yield ServerSentEvent(id=str(event.id), event=event.state.value, data=answer)
        if not ended:
            await event_watcher.wait_for_event_after(study_id, seen)


def _look(store: Store, caller: Caller, study_id: str, known: int) -> tuple[int, tuple[Event, ...], bool]:
    """Return the last event's id, the events after the one that is known, and whether there will be no more."""
    if caller.key_id is not None and Keys(store).is_revoked(caller.key_id):
        return known, (), True
    seen = store.latest_events([study_id]).get(study_id, 0)
    try:
        state, found = store.state(study_id), store.events(study_id, known)
    except UnknownStudyError:
        return seen, (), True  # it was deleted meanwhile
    # one that had failed may have been retried in between
    return seen, found, (found[-1].state if found else state) in ENDED
