"""The logs of a study and of its runs: the last lines, or a stream of new ones."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, StreamingResponse

from service.api.authorization import CallerDep, RequireRole
from service.api.dependencies import RunId, SettingsDep, StoreDep, StudyId
from service.api.problems import problem_responses
from service.auth.keys import ApiKeys
from service.errors import NoLogError, UnknownStudyError
from service.processes.log_files import format_line, read_from, read_pack_lines
from service.roles import Role
from service.settings import Settings
from service.states import ENDED
from service.storage.entities import Caller
from service.storage.repositories.runs import read_run
from service.storage.repositories.studies import Store

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])

Lines = Annotated[
    int, Query(ge=0, le=10_000, description="Maximum number of lines from the end; 0 for new lines only.")
]
Follow = Annotated[bool, Query(description="Stream new lines until the study has ended.")]

_POLL_SECONDS = 0.5
_TEXT_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_RESPONSES = _TEXT_RESPONSE | problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)


@router.get("/studies/{study_id}/logs", response_class=PlainTextResponse, responses=_RESPONSES)
def show_log(
    study_id: StudyId,
    caller: CallerDep,
    store: StoreDep,
    settings: SettingsDep,
    lines: Lines = 1000,
    follow: Follow = False,
) -> Response:
    """Return the end of a study's log and, with `follow`, new lines until the study has ended."""
    log = _log_file(study_id, store, settings)
    if follow:
        return StreamingResponse(_follow(log, lines, store, caller, study_id), media_type="text/plain")
    return PlainTextResponse(_text(read_from(log, 0, lines)[0]))


@router.get("/studies/{study_id}/runs/{run_id}/logs", response_class=PlainTextResponse, responses=_RESPONSES)
def show_run_log(
    study_id: StudyId, run_id: RunId, store: StoreDep, settings: SettingsDep, lines: Lines = 1000
) -> Response:
    """Return the lines of the log about the pack of a completed run."""
    log = _log_file(study_id, store, settings)
    with store.reading() as connection:
        pack = read_run(connection, study_id, run_id).run.pack
    return PlainTextResponse(_text(read_pack_lines(log, pack, lines)))


def _log_file(study_id: str, store: Store, settings: Settings) -> Path:
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


async def _follow(log: Path, lines: int, store: Store, caller: Caller, study_id: str) -> AsyncIterator[str]:
    offset, max_lines, ended = 0, lines, False
    while not ended:
        # state before log: once the study has ended, nothing more is written
        ended = await run_in_threadpool(_is_over, store, caller, study_id)
        new_lines, offset = await run_in_threadpool(read_from, log, offset, max_lines)
        max_lines = None
        if new_lines:
            yield _text(new_lines)
        if not ended:
            await asyncio.sleep(_POLL_SECONDS)


def _is_over(store: Store, caller: Caller, study_id: str) -> bool:
    """Return whether the study has ended or the caller's key was revoked."""
    if caller.key_id is not None and ApiKeys(store).is_revoked(caller.key_id):
        return True
    try:
        return store.state(study_id) in ENDED
    except UnknownStudyError:  # deleted meanwhile
        return True


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{format_line(line)}\n" for line in lines)
