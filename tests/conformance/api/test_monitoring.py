"""What Prometheus gets to see, read as Prometheus reads it."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest, parser
from prometheus_client.openmetrics import parser as openmetrics
from sqlalchemy.exc import OperationalError

from service.app import create_app
from service.settings import Settings
from service.states import State
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.conformance.api.stored_studies import claimed, problem_of, with_runs

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(api: httpx.Client) -> Samples:
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return read(answer.text)


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def requests(api: httpx.Client, method: str, route: str, status: str) -> float:
    key = ("l4_http_request_seconds_count", frozenset({("method", method), ("route", route), ("status", status)}))
    return scraped(api).get(key, 0)


def test_what_is_in_the_database(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    found = scraped(api)
    assert {value(found, "l4_studies", state=state.value) for state in State} == {0}
    assert (value(found, "l4_database_up"), value(found, "l4_runners")) == (1, 1)
    with_runs(store, spec)
    store.add_study(spec, datetime.now(UTC))
    found = scraped(api)
    assert value(found, "l4_studies", state="RUNNING") == value(found, "l4_studies", state="QUEUED") == 1
    assert value(found, "l4_runs_total", outcome="FINISHED") == value(found, "l4_runs_total", outcome="DIVERGED") == 1
    assert value(found, "l4_runs_total", outcome="STOPPED") == 0
    assert value(found, "l4_unrecorded_runs") == 2
    assert 0 <= value(found, "l4_queue_oldest_seconds") < 60


def test_a_process_that_is_started_again_shows_the_same(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    with_runs(store, spec)
    before = {key: found for key, found in scraped(api).items() if "seconds" not in key[0]}
    again = create_app(Settings(home=Path("unused")), store)
    assert before.items() <= read(generate_latest(again.state.metrics.registry).decode()).items()


def test_as_open_metrics(api: httpx.Client) -> None:
    answer = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics.text_string_to_metric_families(answer.text)} >= {"l4_runs"}


def test_requests_are_counted_by_template_not_by_path(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, datetime.now(UTC))
    known = ("GET", "/studies/{study_id}", "2xx")
    unknown = ("GET", "/studies/{study_id}", "4xx")
    nowhere = ("GET", "none", "4xx")
    strange = ("other", "none", "4xx")
    before = {key: requests(api, *key) for key in (known, unknown, nowhere, strange)}
    api.get(f"/studies/{study_id}?key=secret")
    problem_of(api.get("/studies/nonsense"), 404)
    problem_of(api.get("/nowhere/at/all"), 404)
    api.request("BREW", "/coffee")
    assert {key: requests(api, *key) - count for key, count in before.items()} == dict.fromkeys(before, 1)
    text = api.get("/metrics").text
    assert not any(word in text for word in (study_id, "nonsense", "nowhere", "secret", "BREW"))


def test_requests_are_logged_without_what_a_client_made_up(
    api: httpx.Client, store: Store, spec: StudySpec, caplog: pytest.LogCaptureFixture
) -> None:
    study_id = store.add_study(spec, datetime.now(UTC))
    with caplog.at_level(logging.INFO, logger="service.api.middleware.request_log"):
        api.get(f"/studies/{study_id}?token=secret", headers={"Authorization": "Bearer secret"})
        api.get("/studies/secret")
        api.get("/healthz")
    known, unknown = (vars(record) for record in caplog.records if record.name == "service.api.middleware.request_log")
    fields = ("method", "route", "status", "study")
    assert tuple(known.get(field) for field in fields) == ("GET", "/studies/{study_id}", 200, study_id)
    assert tuple(unknown.get(field) for field in fields) == ("GET", "/studies/{study_id}", 404, None)
    assert known["seconds"] > 0
    assert "secret" not in f"{known} {unknown}"


def test_a_stream_takes_as_long_as_its_answer_takes_to_begin(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = claimed(store, spec).study_id
    events = ("GET", "/studies/{study_id}/events", "2xx")
    before = requests(api, *events)
    with api.stream("GET", f"/studies/{study_id}/events") as answer:
        lines = answer.iter_lines()
        assert next(lines)
        assert requests(api, *events) == before + 1  # while it goes on
        store.transition(study_id, State.FAILED, "")
        assert list(lines)
    assert requests(api, *events) == before + 1


def test_without_a_database_it_says_so_and_counts_requests_still(
    app: FastAPI, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception("away"))

    api.get("/healthz")
    monkeypatch.setattr(app.state.store, "reading", away)
    found = scraped(api)
    assert value(found, "l4_database_up") == 0
    assert not [key for key in found if key[0] == "l4_studies"]
    assert requests(api, "GET", "/healthz", "2xx") > 0
    before = requests(api, "GET", "/studies", "5xx")
    problem_of(api.get("/studies"), 503)
    assert requests(api, "GET", "/studies", "5xx") == before + 1


def test_a_fault_of_the_service_is_counted_as_one(
    app: FastAPI, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    before = requests(api, "GET", "/studies", "5xx")
    # a connection of its own: the server closes it
    with monkeypatch.context() as patched, httpx.Client(base_url=api.base_url) as client:
        patched.setattr(app.state.store, "reading", broken)
        assert client.get("/studies").status_code == 500
    assert requests(api, "GET", "/studies", "5xx") == before + 1
