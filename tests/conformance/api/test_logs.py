"""The log of a study, and of a run, over HTTP."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.processes.log_files import MAX_BYTES
from service.schemas.runs import RunPage, RunResponse
from service.schemas.studies import LogLinesResponse
from service.settings import Settings
from service.states import State
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.conformance.api.stored_studies import claimed, problem_of, with_runs


@pytest.fixture
def settings(app: FastAPI, tmp_path: Path) -> Iterator[Settings]:
    """A home of its own, with a file beside it that nobody may read."""
    (tmp_path / "driver.log").write_text("secret\n")
    before = app.state.settings
    app.state.settings = Settings(home=tmp_path / "home")
    yield app.state.settings
    app.state.settings = before


def say(settings: Settings, study_id: str, message: str, **fields: object) -> None:
    log = settings.driver_log(study_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    known = {
        "time": "2026-01-02T03:04:05+00:00",
        "level": "INFO",
        "logger": "studies.execution.driver",
        "message": message,
    }
    with log.open("a") as opened:
        opened.write(json.dumps(known | fields) + "\n")


def words(message: str) -> str:
    return f"2026-01-02 03:04:05 UTC INFO studies.execution.driver: {message}"


def test_the_last_lines_in_words(api: httpx.Client, store: Store, spec: StudySpec, settings: Settings) -> None:
    study_id = claimed(store, spec).study_id
    for i in range(5):
        say(settings, study_id, f"pack {i} is done", pack=i)
    answer = api.get(f"/studies/{study_id}/logs", params={"lines": 2})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [words("pack 3 is done"), words("pack 4 is done")]
    assert len(api.get(f"/studies/{study_id}/logs").text.splitlines()) == 5
    for lines in (-1, 10_001, "many"):
        problem_of(api.get(f"/studies/{study_id}/logs", params={"lines": lines}), 422)


@pytest.mark.usefixtures("settings")
def test_one_that_no_driver_had_yet_is_empty(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, datetime.now(UTC))
    answer = api.get(f"/studies/{study_id}/logs")
    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.usefixtures("settings")
def test_one_on_another_machine_is_said_to_be_there(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = claimed(store, spec).study_id
    store.set_environment(study_id, {"hardware": "another machine"})
    for follow in (False, True):
        problem = problem_of(api.get(f"/studies/{study_id}/logs", params={"follow": follow}), 404)
        assert "is not on the machine of the HTTP service: " in problem.detail
        assert f"studies/{study_id}/driver.log" in problem.detail


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "path", ["../../driver", "..%2F..", "%2E%2E", "%2e%2e%2f%2e%2e", "0" * 20, "x", "%00", "..%5c..", "%2fetc%2fpasswd"]
)
def test_nothing_but_a_study_has_a_log(api: httpx.Client, path: str) -> None:
    for end in ("logs", "logs?follow=true", "logs/events", "runs/0-0/logs"):
        answer = api.get(f"/studies/{path}/{end}")
        problem_of(answer, 404)
        assert "secret" not in answer.text


def test_it_is_followed_as_it_grows_until_the_study_has_ended(
    api: httpx.Client, store: Store, spec: StudySpec, settings: Settings
) -> None:
    study_id = claimed(store, spec).study_id
    with api.stream("GET", f"/studies/{study_id}/logs", params={"follow": True, "lines": 1}) as answer:
        lines = answer.iter_lines()
        for message in ("the first", "the second", "ä third"):
            say(settings, study_id, message)
            assert next(lines) == words(message)
        say(settings, study_id, "the last")
        store.transition(study_id, State.FAILED, "")
        assert list(lines) == [words("the last")]
    followed = api.get(f"/studies/{study_id}/logs", params={"follow": True, "lines": 2})
    assert followed.text.splitlines() == [words("ä third"), words("the last")]


def test_a_run_has_an_id_and_the_lines_of_its_pack(
    api: httpx.Client, store: Store, spec: StudySpec, settings: Settings
) -> None:
    study_id = with_runs(store, spec)
    page = RunPage.model_validate(api.get(f"/studies/{study_id}/runs").json())
    assert len({run.id for run in page.runs}) == len(page.runs) == 2
    for run in page.runs:
        assert RunResponse.model_validate(api.get(f"/studies/{study_id}/runs/{run.id}").json()) == run
        pack = int(run.id.partition("-")[0])
        say(settings, study_id, f"pack {pack} is handed out", pack=pack)
        say(settings, study_id, f"pack {pack} is done", pack=pack)
    for run in page.runs:
        pack = run.id.partition("-")[0]
        path = f"/studies/{study_id}/runs/{run.id}/logs"
        expected = [words(f"pack {pack} is handed out"), words(f"pack {pack} is done")]
        assert api.get(path).text.splitlines() == expected
        assert api.get(path, params={"lines": 1}).text.splitlines() == expected[1:]
    for unknown in ("9-9", "x", "0", "0-0-0", "-1-0", "%00", "1" * 30 + "-0"):
        problem_of(api.get(f"/studies/{study_id}/runs/{unknown}"), 404)
        problem_of(api.get(f"/studies/{study_id}/runs/{unknown}/logs"), 404)


def batches(text: str) -> list[tuple[str, LogLinesResponse]]:
    """The id and the lines of each event."""
    fields = [dict(line.split(": ", 1) for line in block.split("\n")) for block in text.split("\n\n") if block]
    return [(event["id"], LogLinesResponse.model_validate_json(event["data"])) for event in fields]


def test_its_events_are_taken_up_after_any_of_them(
    api: httpx.Client, store: Store, spec: StudySpec, settings: Settings
) -> None:
    study_id = claimed(store, spec).study_id
    path = f"/studies/{study_id}/logs/events"
    for message in ("first", "ä second\u2028 of one", "third"):
        say(settings, study_id, message)
    positions = [len(part) for part in settings.driver_log(study_id).read_bytes().splitlines(keepends=True)]
    store.transition(study_id, State.FAILED, "")

    everything = [words("first"), words("ä second\u2028 of one"), words("third")]
    [(last, found)] = batches(api.get(path).text)
    assert found == LogLinesResponse(lines=tuple(everything), ended=True)
    [(_, found)] = batches(api.get(path, params={"lines": 1}).text)
    assert found.lines == (words("third"),)
    for count in range(4):
        resumed = api.get(path, params={"lines": 1}, headers={"Last-Event-ID": str(sum(positions[:count]))})
        [(position, found)] = batches(resumed.text)
        assert (position, list(found.lines)) == (last, everything[count:])
    [(_, found)] = batches(api.get(path, headers={"Last-Event-ID": str(2**63 - 1)}).text)
    assert found == LogLinesResponse(lines=(), ended=True)
    for nonsense in ("first", "-1", str(2**63)):
        problem_of(api.get(path, headers={"Last-Event-ID": nonsense}), 422)
    problem_of(api.get(f"/studies/{'0' * 20}/logs/events"), 404)


def test_its_first_event_has_a_position_even_where_there_is_nothing_yet(
    api: httpx.Client, store: Store, spec: StudySpec, settings: Settings
) -> None:
    study_id = claimed(store, spec).study_id
    say(settings, study_id, "before")
    with api.stream("GET", f"/studies/{study_id}/logs/events", params={"lines": 0}) as answer:
        event = "\n".join(itertools.takewhile(bool, answer.iter_lines()))
    [(position, found)] = batches(event)
    assert found == LogLinesResponse(lines=(), ended=False)
    say(settings, study_id, "while nobody listened")
    store.transition(study_id, State.FAILED, "")
    resumed = api.get(f"/studies/{study_id}/logs/events", params={"lines": 0}, headers={"Last-Event-ID": position})
    assert batches(resumed.text)[0][1].lines == (words("while nobody listened"),)


def test_a_long_log_comes_in_several_events(
    api: httpx.Client, store: Store, spec: StudySpec, settings: Settings
) -> None:
    study_id = claimed(store, spec).study_id
    say(settings, study_id, "first")
    line = settings.driver_log(study_id).read_text()
    count = 2 * MAX_BYTES // len(line) + 2
    settings.driver_log(study_id).write_text(line * count)
    store.transition(study_id, State.FAILED, "")
    found = batches(api.get(f"/studies/{study_id}/logs/events", headers={"Last-Event-ID": "0"}).text)
    assert [batch.ended for _, batch in found] == [False, False, True]
    assert sum(len(batch.lines) for _, batch in found) == count
    assert int(found[-1][0]) == count * len(line)
