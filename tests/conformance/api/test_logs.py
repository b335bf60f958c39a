"""The log of a study, and of a run, over HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.schemas.runs import RunPage, RunResponse
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
    return f"2026-01-02 03:04:05 INFO studies.execution.driver: {message}"


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
    for end in ("logs", "logs?follow=true", "runs/0-0/logs"):
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
