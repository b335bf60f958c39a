"""Every documented endpoint over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.api.openapi import STUDY_JSON, STUDY_YAML
from service.runner.ledger import StudyLedger
from service.schemas.catalogue import WorkloadResponse
from service.schemas.runs import RunPage
from service.schemas.studies import BestResponse, EventResponse, StudyPage, StudyResponse
from service.states import State
from service.storage.lifecycle import commands
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.records.rows import Outcome
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue, ClusterState, OptimizerEntry, UnusableMachine
from tests.conformance.api.stored_studies import JSON, NOW, YAML, claimed, problem_of, with_runs


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (json.dumps(STUDY_JSON), "application/json"),
        (json.dumps(STUDY_JSON), "Application/JSON; charset=UTF-8"),
        (STUDY_YAML, "application/yaml"),
        (STUDY_YAML, "application/x-yaml"),
        (STUDY_YAML, "text/yaml; charset=utf-8"),
        (STUDY_YAML, "text/x-yaml"),
    ],
)
def test_a_study_is_accepted(api: httpx.Client, content: str, content_type: str) -> None:
    answer = api.post("/studies", content=content, headers={"Content-Type": content_type})

    assert answer.status_code == 202, answer.text
    study = StudyResponse.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/studies/{study.id}" == study.links.self
    assert (study.state, study.reason, study.name) == (State.QUEUED, "", "L4 against tuned SGD")
    assert (study.progress.done, study.progress.total) == (0, 2 * (1 + 8) + 2 * (8 + 8))
    assert (study.links.report, study.links.mlflow) == (None, None)
    assert study.spec.arm("sgd").search["lr"].low == 0.001
    assert api.get(answer.headers["location"]).json() == answer.json()


def test_a_study_posted_again_with_its_key_is_the_same(
    api: httpx.Client, store: Store, definition: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "mine"}
    first, again = (api.post("/studies", json=definition, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == again.headers["location"]
    other = problem_of(api.post("/studies", json=definition | {"name": "Another"}, headers=key), 422)
    assert "the key 'mine' came with another study before" in other.detail
    other = problem_of(api.post("/studies", params={"priority": 3}, json=definition, headers=key), 422)
    assert "the key 'mine' came with the priority 0 before" in other.detail
    refused = api.post("/studies", json={"name": "broken"}, headers={"Idempotency-Key": "its"})
    problem_of(refused, 422)
    assert api.post("/studies", json=definition, headers={"Idempotency-Key": "its"}).status_code == 202
    problem_of(api.post("/studies", json=definition, headers={"Idempotency-Key": ""}), 422)
    problem_of(api.post("/studies", json=definition, headers={"Idempotency-Key": 256 * "x"}), 422)
    assert len(store.studies(10).items) == 2


def test_json_and_yaml_give_the_same_study(api: httpx.Client) -> None:
    hashes = {
        api.post("/studies", content=content, headers=headers).json()["spec_hash"]
        for content, headers in ((json.dumps(STUDY_JSON), JSON), (STUDY_YAML, YAML))
    }
    assert len(hashes) == 1


def test_many_clients_at_once_each_get_their_study(api: httpx.Client, definition: dict[str, Any]) -> None:
    def submit_and_read() -> str:
        study_id = api.post("/studies", json=definition).json()["id"]
        assert api.get(f"/studies/{study_id}").status_code == 200
        return study_id

    with ThreadPoolExecutor(16) as pool:
        ids = [found.result() for found in [pool.submit(submit_and_read) for _ in range(48)]]

    assert len(set(ids)) == 48
    assert {study["id"] for study in api.get("/studies", params={"limit": 200}).json()["studies"]} == set(ids)


def test_too_few_seeds_are_warned_of(api: httpx.Client, definition: dict[str, Any]) -> None:
    definition["protocol"]["confirm_seeds"] = 3
    assert "3 confirm seeds" in api.post("/studies", json=definition).json()["warnings"][0]


def test_studies_are_listed_newest_first_in_pages(api: httpx.Client, definition: dict[str, Any]) -> None:
    ids = [api.post("/studies", json=definition).json()["id"] for _ in range(5)]

    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = StudyPage.model_validate(
            api.get("/studies", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        )
        assert len(page.studies) <= 2
        found += [study.id for study in page.studies]
        cursor = page.next_cursor

    assert found == ids[::-1]


def test_a_study_with_runs(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = with_runs(store, spec)
    store.set_experiment(study_id, "17")

    study = StudyResponse.model_validate(api.get(f"/studies/{study_id}").json())
    first = RunPage.model_validate(api.get(f"/studies/{study_id}/runs", params={"limit": 1}).json())
    second = RunPage.model_validate(
        api.get(f"/studies/{study_id}/runs", params={"limit": 1, "cursor": first.next_cursor}).json()
    )

    assert study.state is State.RUNNING
    assert study.progress.done == 2
    assert [(each.workload, each.arm, each.done, each.total) for each in study.progress.arms] == [
        ("digits_mlp", "l4adam", 1, 7),
        ("digits_mlp", "sgd", 0, 10),
        ("linear_regression", "l4adam", 1, 7),
        ("linear_regression", "sgd", 0, 10),
    ]
    assert [(each.trials_done, each.trials_total) for each in study.progress.arms] == [(1, 1), (0, 4)] * 2
    bests = [each.best for each in study.progress.arms]
    assert bests == [
        BestResponse(trial=0, score=None, setting={"alpha": 0.15}),
        None,
        BestResponse(trial=0, score=0.5, setting={"alpha": 0.15}),
        None,
    ]
    assert study.links.mlflow == "http://mlflow.test/#/experiments/17/runs?workflowType=machine_learning"
    diverged, finished = first.runs[0], second.runs[0]
    assert (diverged.workload, diverged.outcome, diverged.train_loss) == ("digits_mlp", Outcome.DIVERGED, None)
    assert diverged.metrics == {"validation_loss": None, "validation_accuracy": 0.5}
    assert (finished.workload, finished.train_loss) == ("linear_regression", 0.5)
    assert finished.setting == {"alpha": 0.15}
    assert second.next_cursor is None


REPORT = {
    "report.json": b'{"provenance": {"study_id": "s-1", "commit": "0123abc"}}',
    "report.html": b"<!doctype html><p>tie",
    "report.md": b"# tie",
    "report.csv": b"arm,verdict\n",
    "report.tex": b"\\begin{tabular}{l}",
    "curves.png": b"\x89PNG",
    "curves.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.fixture
def reported(api: httpx.Client, store: Store, spec: StudySpec) -> str:
    claim = claimed(store, spec)
    StudyLedger(store, claim.study_id, claim.token).save_report(REPORT)
    store.transition(claim.study_id, State.SUCCEEDED, "", claim.token)
    return f"/studies/{claim.study_id}"


@pytest.mark.parametrize(
    ("accept", "file", "media_type"),
    [
        ("application/json", "report.json", "application/json"),
        ("*/*", "report.json", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "report.html", "text/html"),
        ("text/markdown", "report.md", "text/markdown"),
        ("text/csv;q=0.5, text/markdown;q=0.4", "report.csv", "text/csv"),
        ("application/x-tex", "report.tex", "application/x-tex"),
        ("text/*", "report.html", "text/html"),
        ("text/html;q=0, text/*", "report.md", "text/markdown"),
    ],
)
def test_a_report_by_accept(api: httpx.Client, reported: str, accept: str, file: str, media_type: str) -> None:
    answer = api.get(f"{reported}/report", headers={"Accept": accept})

    assert (answer.status_code, answer.content) == (200, REPORT[file])
    assert answer.headers["content-type"].split(";")[0] == media_type
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["image/png", "application/pdf, text/html;q=0", "text/html;q=nonsense"])
def test_a_report_in_no_form_that_there_is(api: httpx.Client, reported: str, accept: str) -> None:
    found = problem_of(api.get(f"{reported}/report", headers={"Accept": accept}), 406)
    assert "text/html" in found.detail


@pytest.mark.parametrize(
    ("path", "file", "media_type"),
    [
        ("report.json", "report.json", "application/json"),
        ("report.html", "report.html", "text/html"),
        ("report.md", "report.md", "text/markdown"),
        ("report.csv", "report.csv", "text/csv"),
        ("report.tex", "report.tex", "application/x-tex"),
        ("report/curves.svg", "curves.svg", "image/svg+xml"),
        ("report/curves.png", "curves.png", "image/png"),
    ],
)
def test_a_report_by_extension(api: httpx.Client, reported: str, path: str, file: str, media_type: str) -> None:
    answer = api.get(f"{reported}/{path}", headers={"Accept": "nothing/known"})

    assert (answer.status_code, answer.content) == (200, REPORT[file])
    assert answer.headers["content-type"].split(";")[0] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]
    assert api.get(reported).json()["links"]["report"] == f"{reported}/report"


@pytest.mark.parametrize(
    "path", ["report/unknown.svg", "report/..%2Freport.svg", "report.pdf", "report/other.png", "report/curves.gif"]
)
def test_a_report_has_no_other_files(api: httpx.Client, reported: str, path: str) -> None:
    problem_of(api.get(f"{reported}/{path}"), 404)


def test_a_report_that_is_not_there_yet(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    for path in ("report", "report.html", "report/curves.svg", "bundle"):
        found = problem_of(api.get(f"/studies/{study_id}/{path}"), 409)
        assert "QUEUED" in found.detail

    store.transition(study_id, State.FAILED, "the data are missing")
    assert "the data are missing" in problem_of(api.get(f"/studies/{study_id}/report"), 409).detail


def test_cancelling(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    running = claimed(store, spec).study_id
    queued = store.add_study(spec, NOW)

    for _ in range(2):
        assert api.post(f"/studies/{queued}/cancel").json()["state"] == "CANCELLED"
        assert api.post(f"/studies/{running}/cancel").json()["state"] == "CANCELLING"


@pytest.mark.parametrize("ended", [State.SUCCEEDED, State.FAILED])
def test_what_has_ended_is_not_cancelled(api: httpx.Client, store: Store, spec: StudySpec, ended: State) -> None:
    claim = claimed(store, spec)
    store.transition(claim.study_id, ended, "")

    assert ended in problem_of(api.post(f"/studies/{claim.study_id}/cancel"), 409).detail


def test_pausing_and_resuming(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    running = store.add_study(spec, NOW)
    assert store.claim(datetime.now(UTC), 3600) is not None
    queued = store.add_study(spec, NOW)

    for verb, states in {"pause": ("PAUSED", "PAUSED"), "resume": ("QUEUED", "RUNNING")}.items():
        for _ in range(2):
            for study_id, state in zip((queued, running), states, strict=True):
                answer = StudyResponse.model_validate_json(api.post(f"/studies/{study_id}/{verb}").content)
                assert answer.state == state


def test_only_a_failed_study_is_retried(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    failed, succeeded = claimed(store, spec).study_id, claimed(store, spec).study_id
    store.transition(failed, State.FAILED, "the data are missing")
    store.transition(succeeded, State.SUCCEEDED, "")

    answer = StudyResponse.model_validate_json(api.post(f"/studies/{failed}/retry").content)
    assert (answer.state, answer.ended_at) == (State.QUEUED, None)
    assert "SUCCEEDED" in problem_of(api.post(f"/studies/{succeeded}/retry"), 409).detail


def events(text: str) -> list[tuple[str, str, str]]:
    """Return the id, the name and the reason of every event of a stream."""
    found: list[tuple[str, str, str]] = []
    for block in text.replace(": ping\n\n", "").strip().split("\n\n") if text.strip() else []:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        data = EventResponse.model_validate_json(fields["data"])
        assert data.state == fields["event"]
        found.append((fields["id"], fields["event"], data.reason))
    return found


def test_what_happened_to_a_study_is_told_once(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    other = claimed(store, spec).study_id
    study_id = claimed(store, spec).study_id
    store.execute(study_id, commands.pause)
    store.transition(study_id, State.FAILED, "the data are\nmissing")

    answer = api.get(f"/studies/{study_id}/events")

    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer.text)
    assert [name for _, name, _ in found] == ["QUEUED", "RUNNING", "PAUSED", "FAILED"]
    assert found[-1][2] == "the data are\nmissing"
    again = api.get(f"/studies/{study_id}/events", headers={"Last-Event-ID": found[1][0]})
    assert events(again.text) == found[2:]
    assert api.get(f"/studies/{study_id}/events", headers={"Last-Event-ID": found[-1][0]}).text == ""
    problem_of(api.get(f"/studies/{other}/events", headers={"Last-Event-ID": "first"}), 422)
    problem_of(api.get(f"/studies/{'0' * 20}/events"), 404)


def test_events_are_followed_until_the_study_has_ended(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = claimed(store, spec).study_id
    with api.stream("GET", f"/studies/{study_id}/events") as answer:
        lines = answer.iter_lines()
        for state in (State.QUEUED, State.RUNNING, State.SUCCEEDED):
            assert next(line for line in lines if line.startswith("event")) == f"event: {state}"
            if state is State.RUNNING:
                store.transition(study_id, State.SUCCEEDED, "")
        assert not [line for line in lines if line.startswith("event")]


BROKEN = UnusableMachine(host="node-7", reason="the driver is old: install a new one")


def test_the_catalogue_is_shown(api: httpx.Client, catalogue: Catalogue) -> None:
    workloads = [WorkloadResponse.model_validate(found) for found in api.get("/workloads").json()]
    optimizers = [OptimizerEntry.model_validate(found) for found in api.get("/optimizers").json()]

    assert [found.name for found in workloads] == ["digits_mlp", "linear_regression"]
    assert workloads[0].objectives == catalogue.workloads[0].objectives()
    assert workloads[0].options == catalogue.workloads[0].options
    assert tuple(optimizers) == catalogue.optimizers


def test_machines_that_take_no_packs_are_told(api: httpx.Client, store: Store, definition: dict[str, Any]) -> None:
    def work(runner: str, *, can_train: bool, unusable: tuple[UnusableMachine, ...] = (BROKEN,)) -> None:
        state = ClusterState(can_train=can_train, unusable=unusable)
        Runners(store).heartbeat(runner, datetime.now(UTC), seconds=60, cluster=state)

    def said() -> list[str]:
        return [each for each in api.get(path).json()["conditions"] if "takes no packs" in each]

    path = api.post("/studies", json=definition).headers["location"]
    assert said() == []
    work("runner", can_train=True)
    assert api.get("/readyz").json() == {"status": "ok", "unusable_machines": [BROKEN.reason]}
    assert said() == ["node-7 takes no packs: the driver is old: install a new one"]

    work("runner", can_train=False)
    problem = problem_of(api.get("/readyz"), 503)
    assert problem.type == "urn:l4-studies:problem:no-machine"
    assert problem.detail == f"no machine takes packs, so that studies would wait: {BROKEN.reason}"
    assert said() == ["node-7 takes no packs: the driver is old: install a new one"]

    work("another", can_train=True)
    assert api.get("/readyz").status_code == 200
    work("another", can_train=False, unusable=())
    assert api.get("/readyz").status_code == 503
    Runners(store).remove("runner")
    assert api.get("/readyz").status_code == 200  # its machines may still join


def test_without_a_runner_it_is_alive_but_not_ready(
    empty_api: httpx.Client, store: Store, catalogue: Catalogue, definition: dict[str, Any]
) -> None:
    assert empty_api.get("/healthz").json() == {"status": "ok"}
    for answer in (
        empty_api.get("/readyz"),
        empty_api.get("/workloads"),
        empty_api.get("/optimizers"),
        empty_api.post("/studies", json=definition),
    ):
        assert "no runner" in problem_of(answer, 503).detail

    Runners(store).publish(catalogue)
    assert empty_api.get("/workloads").status_code == 200
    assert "no runner is at work" in problem_of(empty_api.get("/readyz"), 503).detail

    now = datetime.now(UTC)
    Runners(store).heartbeat("lost", now - timedelta(hours=1), seconds=60)
    assert "no runner is at work" in problem_of(empty_api.get("/readyz"), 503).detail

    Runners(store).heartbeat("alive", now, seconds=60)
    assert empty_api.get("/readyz").json() == {"status": "ok", "unusable_machines": []}

    Runners(store).remove("alive")
    assert "no runner is at work" in problem_of(empty_api.get("/readyz"), 503).detail
    assert empty_api.post("/studies", json=definition).status_code == 202  # it waits in the queue
