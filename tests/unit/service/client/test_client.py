"""The client against the real application on a real port."""

import json
import math
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.auth.api_key import new_key
from service.client.client import Client
from service.client.connection import RequestRefusedError
from service.errors import ForeignServiceError, MalformedKeyError, UnreachableError
from service.runner.ledger import StudyLedger
from service.schemas.problems import Problem
from service.schemas.reports import ReportFormat
from service.schemas.studies import LogLinesResponse
from service.settings import Settings
from service.states import State
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.records.rows import Lane, Outcome, Pack, Run, Trial
from studies.spec.definition import StudyDefinition
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue

pytestmark = pytest.mark.heavy

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made


def test_a_plan_of_any_form_of_a_study(
    client: Client, store: Store, catalogue: Catalogue, definition: dict[str, Any], spec: StudySpec, tmp_path: Path
) -> None:
    Runners(store).publish(catalogue)
    file = tmp_path / "study.json"
    file.write_text(json.dumps(definition))
    forms = (definition, StudyDefinition.model_validate(definition), json.dumps(definition), file)
    assert {client.plan(form).spec_hash for form in forms} == {spec.content_hash}
    assert client.plan(file).estimate.expected.confirm_runs == 4 * 6
    assert list(client.studies()) == []
    with pytest.raises(RequestRefusedError, match="/arms"):
        client.plan(definition | {"arms": []})


def _ledger(store: Store) -> StudyLedger:
    claim = store.claim(NOW, 3600)
    assert claim is not None
    return StudyLedger(store, claim.study_id, claim.token)


def _add_runs(ledger: StudyLedger, count: int) -> None:
    trials = [
        Trial(workload="digits", arm="sgd", number=i, batch=0, setting={"lr": i / 1000, "eps": 1e-8})
        for i in range(count)
    ]
    lanes = tuple(Lane(trial=i, seed=0) for i in range(count))
    pack = Pack(number=0, workload="digits", arm="sgd", stage=Stage.SEARCH, batch=0, lanes=lanes)
    ledger.add_plan(trials, [pack])
    ledger.finish_pack(
        replace(pack, done=True, seconds=1.0, host="here"),
        [
            Run(
                workload="digits",
                arm="sgd",
                trial=i,
                seed=0,
                stage=Stage.SEARCH,
                outcome=Outcome.DIVERGED if i == count - 1 else Outcome.FINISHED,
                steps=5,
                start_loss=2.0,
                train_loss=math.inf if i == count - 1 else 0.5,
                metrics={},
                pack=0,
                lane=i,
            )
            for i in range(count)
        ],
    )


def test_a_service_without_a_runner_is_not_ready_and_says_why(
    client: Client, store: Store, catalogue: Catalogue
) -> None:
    with pytest.raises(RequestRefusedError, match="runner") as refused:
        client.ready()
    assert refused.value.problem.status == 503
    Runners(store).publish(catalogue)
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)
    assert client.ready().status == "ok"


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("form", ["mapping", "model", "json", "bytes", "yaml", "flow yaml", "json file", "yaml file"])
def test_a_study_is_submitted_in_every_form(
    client: Client, definition: dict[str, Any], spec: StudySpec, tmp_path: Path, form: str
) -> None:
    (tmp_path / "study.json").write_text(json.dumps(definition))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(definition))
    forms: dict[str, Any] = {
        "mapping": definition,
        "model": StudyDefinition.model_validate(definition),
        "json": json.dumps(definition),
        "bytes": json.dumps(definition).encode(),
        "yaml": yaml.safe_dump(definition),
        "flow yaml": yaml.safe_dump(definition, default_flow_style=True),
        "json file": tmp_path / "study.json",
        "yaml file": tmp_path / "study.yaml",
    }
    study = client.submit(forms[form])
    assert study.state is State.QUEUED
    assert study.spec == spec
    assert client.study(study.id) == study


@pytest.mark.usefixtures("published")
def test_every_fault_of_a_definition_is_in_the_message_with_its_place(
    client: Client, definition: dict[str, Any]
) -> None:
    definition["arms"][0]["optimiser"] = "sgd"
    definition["workloads"][0]["steps"] = 0
    with pytest.raises(RequestRefusedError) as refused:
        client.submit(definition)
    problem = refused.value.problem
    assert problem.status == 422
    assert len(problem.faults) == 2
    lines = str(refused.value).splitlines()
    assert lines[0] == problem.detail
    assert {line.split(":")[0].strip() for line in lines[1:]} == {"/arms/0/optimiser", "/workloads/0/steps"}
    assert list(client.studies()) == []


@pytest.mark.usefixtures("published")
def test_a_body_that_cannot_be_read_is_refused(client: Client) -> None:
    with pytest.raises(RequestRefusedError, match="YAML"):
        client.submit("name: [")


def test_an_unknown_study_is_refused_whatever_its_id(client: Client) -> None:
    for study_id in ("nonsense", "../studies", "a/b", "ä?x=1#y"):
        with pytest.raises(RequestRefusedError) as refused:
            client.study(study_id)
        assert refused.value.problem.status == 404


def test_studies_are_read_over_all_pages(client: Client, store: Store, spec: StudySpec) -> None:
    ids = [store.add_study(spec, NOW) for _ in range(230)]
    assert [study.id for study in client.studies()] == sorted(ids, reverse=True)


def test_runs_are_read_over_all_pages(client: Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    _add_runs(_ledger(store), count=150)
    runs = list(client.runs(study_id))
    assert [run.trial for run in runs] == list(range(150))
    assert runs[3].setting == {"lr": 0.003, "eps": 1e-8}
    assert runs[149].outcome is Outcome.DIVERGED
    assert runs[149].train_loss is None


def test_one_run_is_read_by_its_id(client: Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    _add_runs(_ledger(store), count=3)
    for run in client.runs(study_id):
        assert client.run(study_id, run.id) == run
    with pytest.raises(RequestRefusedError, match="'7-7'"):
        client.run(study_id, "7-7")


def test_logs_are_read_and_followed(client: Client, store: Store, spec: StudySpec, tmp_path: Path) -> None:
    study_id = store.add_study(spec, NOW)
    _add_runs(_ledger(store), count=1)
    log = Settings(home=tmp_path).driver_log(study_id)
    log.parent.mkdir(parents=True)
    log.write_text('a\n{"time": "2026-01-02T03:04:05Z", "level": "INFO", "logger": "x", "message": "b", "pack": 0}\n')
    words = "2026-01-02 03:04:05 UTC INFO x: b"
    assert list(client.logs(study_id)) == ["a", words]
    assert list(client.logs(study_id, lines=1)) == list(client.logs(study_id, run_id="0-0")) == [words]
    followed = client.logs(study_id, follow=True, lines=1)
    assert next(followed) == words
    store.transition(study_id, State.FAILED, "")
    assert list(followed) == []
    with pytest.raises(RequestRefusedError, match="nonsense"):
        list(client.logs("nonsense", follow=True))


def test_a_study_is_watched_until_it_ends(client: Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    looks = client.watch(study_id, seconds=0.01)
    seen = [next(looks).state]
    store.claim(NOW, 3600)
    seen.append(next(looks).state)
    store.transition(study_id, State.FAILED, "the data are missing")
    rest = list(looks)
    assert [*seen, rest[-1].state] == [State.QUEUED, State.RUNNING, State.FAILED]
    assert rest[-1].reason == "the data are missing"


def test_a_queued_study_is_cancelled_once_and_for_all(client: Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    assert client.cancel(study_id).state is State.CANCELLED
    assert [study.state for study in client.watch(study_id)] == [State.CANCELLED]


def test_a_report_comes_in_every_form(client: Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    with pytest.raises(RequestRefusedError, match="report") as refused:
        client.report(study_id)
    assert refused.value.problem.status == 409
    contents = {form: f"as {form}".encode() for form in ReportFormat}
    _ledger(store).save_report({f"report.{form}": content for form, content in contents.items()})
    assert {form: client.report(study_id, form) for form in ReportFormat} == contents


@pytest.mark.usefixtures("published")
def test_the_catalogue_is_read(client: Client, catalogue: Catalogue) -> None:
    assert [entry.name for entry in client.workloads()] == [entry.name for entry in catalogue.workloads]
    assert client.optimizers() == catalogue.optimizers


def test_what_is_no_key_is_not_sent_and_not_shown(closed_url: str) -> None:
    for key in ("", "hunter2", f"{new_key().text}\n", "l4_ä"):
        with pytest.raises(MalformedKeyError, match="not shown here") as refused:
            Client(closed_url, key=key)
        assert not key or key not in str(refused.value)


def test_a_key_is_in_no_message(url: str, closed_url: str) -> None:
    key = new_key().text
    for address in (url, closed_url):
        with Client(address, key=key) as client, pytest.raises((RequestRefusedError, UnreachableError)) as refused:
            client.study("nonsense")
        assert key not in str(refused.value)


def test_where_nothing_answers_the_message_names_the_remedy(closed_url: str) -> None:
    with Client(closed_url) as client, pytest.raises(UnreachableError, match=rf"{closed_url} .*`l4-studies serve`"):
        client.ready()


def test_a_local_service_is_reached_without_the_proxy(
    url: str, closed_url: str, monkeypatch: pytest.MonkeyPatch, store: Store, catalogue: Catalogue
) -> None:
    Runners(store).publish(catalogue)
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=3600)
    monkeypatch.setenv("HTTP_PROXY", closed_url)
    monkeypatch.setenv("http_proxy", closed_url)
    with Client(url) as client:
        assert client.ready().status == "ok"


@contextmanager
def answering(*answers: tuple[int, str], header: tuple[str, str] = ("X-A", "x")) -> Generator[str]:
    """A program that gives these answers, one after the other, and the last one from then on."""
    left = list(answers)

    class Program(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header(*header)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Program) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def problem(status: int) -> str:
    return Problem(
        type="about:blank", title="x", status=status, detail="the database does not answer"
    ).model_dump_json()


@pytest.mark.parametrize("status", [200, 404, 500])
def test_another_program_is_not_mistaken_for_the_service(status: int) -> None:
    with answering((status, "<h1>Hello</h1>")) as url, Client(url) as client:
        with pytest.raises(ForeignServiceError, match=rf"/readyz \({status} .* is no L4 service of this version"):
            client.ready()
        with pytest.raises(ForeignServiceError, match="is no L4 service of this version"):
            list(client.logs("0" * 20, follow=True))


@pytest.mark.parametrize(
    "answer", [(502, "<h1>502 Bad Gateway</h1>"), (503, "<h1>503</h1>"), (504, ""), (502, problem(502))]
)
def test_a_proxy_that_finds_no_service_is_one_that_cannot_be_reached(answer: tuple[int, str]) -> None:
    with answering(answer) as url, Client(url) as client:
        for ask in (client.ready, lambda: list(client.logs("x")), lambda: list(client.logs("x", follow=True))):
            with pytest.raises(UnreachableError, match=rf"behind {url} does not answer \(its proxy says {answer[0]} "):
                ask()


def test_a_service_that_cannot_serve_is_told_in_its_own_words() -> None:
    refused = pytest.raises(RequestRefusedError, match="the database does not answer")
    with answering((503, problem(503))) as url, Client(url) as client, refused:
        client.ready()


def test_watching_goes_on_after_whatever_passes(
    client: Client, store: Store, spec: StudySpec, caplog: pytest.LogCaptureFixture
) -> None:
    study_id = store.add_study(spec, NOW)
    queued = client.study(study_id).model_dump_json()
    store.transition(study_id, State.CANCELLED, "")
    ended = client.study(study_id).model_dump_json()
    away = [(502, "<h1>502 Bad Gateway</h1>"), (503, problem(503)), (429, problem(429))]
    with answering((200, queued), *away, (200, queued), away[0], (200, ended)) as url, Client(url) as watching:
        states = [study.state for study in watching.watch(study_id, seconds=0.01)]
    assert states == [State.QUEUED, State.QUEUED, State.CANCELLED]
    said = [record.message for record in caplog.records if record.name == "service.client.outage"]
    assert len(said) == 4
    assert all("its proxy says 502 Bad Gateway" in each and "up to 10 min" in each for each in said[::2])
    assert all("answers again" in each for each in said[1::2])


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("Fri, 04 Dec 2026 00:00:00 GMT", 0.5)])
def test_who_is_told_when_to_ask_again_waits_so_long(
    client: Client, store: Store, spec: StudySpec, header: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    study_id = store.add_study(spec, NOW)
    queued = client.study(study_id).model_dump_json()
    monkeypatch.setattr("service.client.outage.time.sleep", slept.append)
    answers = ((200, queued), (429, problem(429)), (200, queued))
    with answering(*answers, header=("Retry-After", header)) as url, Client(url) as watching:
        looks = watching.watch(study_id, seconds=0.01)
        next(looks)
        next(looks)
    assert [each for each in slept if each != 0.01] == [seconds]


def test_a_keep_alive_of_a_log_is_no_event() -> None:
    first, last = (LogLinesResponse(lines=(each,), ended=each == "b").model_dump_json() for each in "ab")
    stream = f"id: 1\ndata: {first}\n\n: ping\n\n: ping\n\nid: 2\ndata: {last}\n\n"
    with answering((200, stream), header=("Content-Type", "text/event-stream")) as url, Client(url) as client:
        assert list(client.logs("x", follow=True)) == ["a", "b"]


def test_what_will_not_pass_ends_the_watching(client: Client, store: Store, spec: StudySpec) -> None:
    queued = client.study(store.add_study(spec, NOW)).model_dump_json()
    for answer, error in (
        ((401, problem(401)), RequestRefusedError),
        ((404, problem(404)), RequestRefusedError),
        ((200, "<h1>Hello</h1>"), ForeignServiceError),
    ):
        with answering((200, queued), answer, (200, queued)) as url, Client(url) as watching:
            looks = watching.watch("x", seconds=0.01)
            next(looks)
            with pytest.raises(error):
                next(looks)


@pytest.mark.parametrize("patience", [0.0, 0.05])
def test_patience_ends(client: Client, store: Store, spec: StudySpec, patience: float) -> None:
    queued = client.study(store.add_study(spec, NOW)).model_dump_json()
    with answering((200, queued), (502, "")) as url, Client(url, patience=patience) as watching:
        looks = watching.watch("x", seconds=0.01)
        next(looks)
        with pytest.raises(UnreachableError, match="^given up after .*502" if patience else "^the service .*502"):
            next(looks)


@pytest.mark.usefixtures("published")
def test_the_queue_is_read_in_its_order(client: Client, definition: dict[str, Any]) -> None:
    first, urgent = client.submit(definition), client.submit(definition, priority=1)
    assert [(each.id, each.name, each.priority, each.owner) for each in client.queue().studies] == [
        (urgent.id, urgent.name, 1, None),
        (first.id, first.name, 0, None),
    ]
    assert client.study(first.id).conditions == ("waits behind 1 in the queue",)
