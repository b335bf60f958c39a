"""The logs of a study and of its runs: the last lines, or a stream of new ones."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.api.authorization import CallerDep, RequireRole
from service.api.dependencies import EventWatcherDep, RunId, SettingsDep, StoreDep, StudyId
from service.api.event_watcher import EventWatcher
from service.api.problems import problem_responses
from service.api.streams import FOLLOWED, STREAM, Follow
from service.auth.keys import ApiKeys
from service.errors import NoLogError, UnknownStudyError
from service.processes.log_files import format_line, read_from, read_last, read_pack_lines
from service.roles import Role
from service.schemas.studies import LogLinesResponse
from service.states import ENDED
from service.storage.entities import Caller
from service.storage.repositories.runs import read_run
from service.storage.repositories.studies import Store

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])

Lines = Annotated[
    int, Query(ge=0, le=10_000, description="Maximum number of lines from the end; 0 for new lines only.")
]

_POLL_SECONDS = 0.5
_TEXT_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_RESPONSES_OF_EVENTS = problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_RESPONSES = _TEXT_RESPONSE | _RESPONSES_OF_EVENTS


@router.get("/studies/{study_id}/logs", dependencies=[FOLLOWED], response_class=PlainTextResponse, responses=_RESPONSES)
def show_log(
    study_id: StudyId,
    caller: CallerDep,
    store: StoreDep,
    settings: SettingsDep,
    event_watcher: EventWatcherDep,
    lines: Lines = 1000,
    follow: Follow = False,
) -> Response:
    """Return the end of a study's log and, with `follow`, new lines until the study has ended."""
    log = _log_file(study_id, store, settings)
    if follow:
        batches = _follow(log, None, lines, store, event_watcher, caller, study_id)
        return StreamingResponse((batch.text async for batch in batches if batch.text), media_type="text/plain")
    return PlainTextResponse(_text(read_last(log, lines).lines))


@router.get("/studies/{study_id}/runs/{run_id}/logs", response_class=PlainTextResponse, responses=_RESPONSES)
def show_run_log(
    study_id: StudyId, run_id: RunId, store: StoreDep, settings: SettingsDep, lines: Lines = 1000
) -> Response:
    """Return the lines of the log about the pack of a completed run."""
    log = _log_file(study_id, store, settings)
    with store.reading() as connection:
        pack = read_run(connection, study_id, run_id).run.pack
    return PlainTextResponse(_text(read_pack_lines(log, pack, lines)))


def _log_file(study_id: StudyId, store: StoreDep, settings: SettingsDep) -> Path:
    """Return the path of a study's log; the file may not exist yet.

    Raises:
        UnknownStudyError: There is no such study.
        NoLogError: The log is on another machine.
    """
    study = store.study(study_id)
    log = settings.driver_log(study.id)
    if study.environment is not None and not log.exists():
        raise NoLogError(
            f"the log of study {study.id} is not on the machine of the HTTP service: its driver ran on another one, "
            f"and has it there, in L4_HOME under {log.relative_to(settings.home)}"
        )
    return log


@router.get(
    "/studies/{study_id}/logs/events",
    dependencies=[STREAM],
    response_class=EventSourceResponse,
    responses=_RESPONSES_OF_EVENTS,
)
async def follow_log(
    study_id: StudyId,
    log: Annotated[Path, Depends(_log_file)],
    caller: CallerDep,
    store: StoreDep,
    event_watcher: EventWatcherDep,
    lines: Lines = 1000,
    last_event_id: Annotated[
        int | None, Header(ge=0, lt=2**63, description="Only lines after the event with this id; `lines` is ignored.")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream the end of a study's log and new lines until it has ended; an event's id is the position after it."""
    sent_id = None
    async for batch in _follow(log, last_event_id, lines, store, event_watcher, caller, study_id):
        if batch.text or batch.ended or sent_id is None:  # the first event has a position even without lines
            sent_id = str(batch.end)
            data = LogLinesResponse(lines=tuple(batch.text.split("\n")[:-1]), ended=batch.ended)
            yield ServerSentEvent(id=sent_id, event="lines", data=data)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What was added to a log.

    Args:
        text: The new lines for people; may be empty.
        end: The offset after them.
        more: Whether there is more already.
        ended: Whether they are the last: the study had ended before they were read.
    """

    text: str
    end: int
    more: bool
    ended: bool


async def _follow(
    log: Path,
    offset: int | None,
    limit: int,
    store: Store,
    event_watcher: EventWatcher,
    caller: Caller,
    study_id: str,
) -> AsyncIterator[_Batch]:
    """Yield what is after an offset, or else the last lines, and every half second what is added.

    It ends when the study has ended or the caller's key is revoked.
    """
    while True:
        # state before log: once the study has ended, nothing more is written
        state = await run_in_threadpool(_read_state, store, caller, study_id)
        if state is None:
            return
        latest_id, ended = state
        event = asyncio.create_task(event_watcher.wait_for_event_after(study_id, latest_id))
        try:
            while True:
                has_changed = event.done()
                batch = await run_in_threadpool(_read_batch, log, offset, limit, ended=ended)
                offset = batch.end
                yield batch
                if batch.ended:
                    return
                if batch.more:
                    continue
                if has_changed:
                    event.result()  # raises what kept it from waiting
                    break
                await asyncio.wait([event], timeout=_POLL_SECONDS)
        finally:
            event.cancel()


def _read_state(store: Store, caller: Caller, study_id: str) -> tuple[int, bool] | None:
    """Return the latest event's id, and whether the study has ended; None if the caller's key was revoked."""
    if caller.key_id is not None and ApiKeys(store).is_revoked(caller.key_id):
        return None
    latest_id = store.latest_events([study_id]).get(study_id, 0)
    try:
        return latest_id, store.state(study_id) in ENDED
    except UnknownStudyError:  # deleted meanwhile
        return latest_id, True


def _read_batch(log: Path, offset: int | None, limit: int, *, ended: bool) -> _Batch:
    """Return what is after an offset, or else the last lines; `ended` says whether the study has ended."""
    read = read_last(log, limit) if offset is None else read_from(log, offset)
    return _Batch(text=_text(read.lines), end=read.end, more=read.more, ended=ended and not read.more)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{format_line(line)}\n" for line in lines)
