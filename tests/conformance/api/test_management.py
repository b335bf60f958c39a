"""Cloning, archiving, deleting, cancelling many, and finding studies, over HTTP."""

import json
from typing import Any

import httpx
import pytest

from service.runner.ledger import StudyLedger
from service.schemas.studies import CancelResponse, StudyPage, StudyResponse
from service.states import State
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue
from tests.conformance.api.stored_studies import JSON, NOW, claimed, problem_of
from tests.unit.service.storage.repositories.test_studies import bring_to


def listed(api: httpx.Client, **query: Any) -> list[str]:
    answer = api.get("/studies", params=query)
    assert answer.status_code == 200, answer.text
    return [study.id for study in StudyPage.model_validate_json(answer.content).studies]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("state", list(State))
def test_a_study_in_any_state_is_cloned(api: httpx.Client, store: Store, spec: StudySpec, state: State) -> None:
    study_id = bring_to(store, spec, state)
    before = api.get(f"/studies/{study_id}").json()

    answer = api.post(f"/studies/{study_id}/clone")

    assert answer.status_code == 202, answer.text
    clone = StudyResponse.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/studies/{clone.id}"
    assert clone.id != study_id
    assert (clone.spec, clone.state, clone.progress.done) == (spec, State.QUEUED, 0)
    assert clone.reason == f"clone of {study_id}"
    assert [event.reason for event in store.events(clone.id)] == [f"clone of {study_id}"]
    assert api.get(f"/studies/{study_id}").json() | {"conditions": []} == before | {"conditions": []}


def test_a_clone_may_have_a_name_of_its_own(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    clone = api.post(f"/studies/{study_id}/clone", json={"name": "Once more"}).json()
    assert (clone["name"], clone["spec"]["name"]) == ("Once more", "Once more")
    assert clone["spec_hash"] == spec.content_hash
    for body in ({}, {"name": None}):
        assert api.post(f"/studies/{study_id}/clone", json=body).json()["name"] == spec.name


def test_a_clone_asked_for_again_with_its_key_is_the_same(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id, other = store.add_study(spec, NOW), store.add_study(spec, NOW)
    key = {"Idempotency-Key": "mine"}
    first, again = (api.post(f"/studies/{study_id}/clone", headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == again.headers["location"]
    problem_of(api.post(f"/studies/{other}/clone", headers=key), 422)
    problem_of(api.post(f"/studies/{study_id}/clone", headers=key, json={"name": "Another"}), 422)
    problem_of(api.post("/studies", headers=key | JSON, content="{}"), 422)
    assert len(store.studies(10).items) == 3
    assert api.post(f"/studies/{study_id}/clone").json()["id"] != first.json()["id"]


def test_a_spec_that_can_be_trained_no_longer_is_not_cloned(
    api: httpx.Client, store: Store, spec: StudySpec, catalogue: Catalogue
) -> None:
    study_id = store.add_study(spec, NOW)
    Runners(store).publish(catalogue.model_copy(update={"workloads": catalogue.workloads[:1]}))
    found = problem_of(api.post(f"/studies/{study_id}/clone"), 422)
    assert [fault.pointer for fault in found.faults] == ["/workloads/1/workload"]
    assert "'linear_regression' is unknown" in found.faults[0].detail
    assert listed(api) == [study_id]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b'{"name": ""}', 422, "/name"),
        (b'{"name": "<b>"}', 422, "/name"),
        (b'{"name": 3}', 422, "/name"),
        (b'{"nam": "x"}', 422, "/nam"),
        (b"[]", 422, ""),
        (b"null", 422, ""),
        (b"{", 400, None),
        (b'{"name": "a", "name": "b"}', 400, None),
        (b" " * 300_000, 413, None),
    ],
)
def test_what_no_clone_can_have_is_named(
    api: httpx.Client, store: Store, spec: StudySpec, body: bytes, status: int, pointer: str | None
) -> None:
    study_id = store.add_study(spec, NOW)
    found = problem_of(api.post(f"/studies/{study_id}/clone", content=body, headers=JSON), status)
    assert [fault.pointer for fault in found.faults] == ([] if pointer is None else [pointer])
    problem_of(api.post(f"/studies/{study_id}/clone", content=b"{}", headers={"Content-Type": "text/plain"}), 415)
    assert listed(api) == [study_id]


def test_an_archived_study_is_listed_among_its_own(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    ended, queued = bring_to(store, spec, State.FAILED), store.add_study(spec, NOW)
    for _ in range(2):
        archived = StudyResponse.model_validate_json(api.post(f"/studies/{ended}/archive").content)
        assert archived.archived_at is not None
        assert (archived.state, archived.reason) == (State.FAILED, "for the test")
        assert (listed(api), listed(api, archived=True)) == ([queued], [ended])
    assert api.get(f"/studies/{ended}").json()["archived_at"] is not None
    for _ in range(2):
        assert api.post(f"/studies/{ended}/unarchive").json()["archived_at"] is None
        assert (sorted(listed(api)), listed(api, archived=True)) == (sorted([ended, queued]), [])
    for verb in ("archive", "unarchive"):
        assert "cancel it first" in problem_of(api.post(f"/studies/{queued}/{verb}"), 409).detail
        problem_of(api.post(f"/studies/{'0' * 20}/{verb}"), 404)


def test_a_deleted_study_is_nowhere(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    claim, kept = claimed(store, spec), store.add_study(spec, NOW)
    path = f"/studies/{claim.study_id}"
    assert "cancel it first" in problem_of(api.delete(path), 409).detail
    StudyLedger(store, claim.study_id, claim.token).save_report({"report.json": b"{}"})
    store.transition(claim.study_id, State.SUCCEEDED, "")

    answer = api.delete(path)

    assert (answer.status_code, answer.content) == (204, b"")
    assert listed(api) == [kept]
    for each in (path, f"{path}/runs", f"{path}/report.json", f"{path}/events"):
        problem_of(api.get(each), 404)
    for verb in ("cancel", "retry", "archive", "clone"):
        problem_of(api.post(f"{path}/{verb}"), 404)
    problem_of(api.delete(path), 404)


def test_what_mlflow_has_of_a_deleted_study_follows(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id, unrecorded = bring_to(store, spec, State.FAILED), bring_to(store, spec, State.FAILED)
    store.set_experiment(study_id, "17")
    answer = api.delete(f"/studies/{study_id}", params={"mlflow": True})
    assert (answer.status_code, answer.content) == (202, b"")
    assert api.delete(f"/studies/{unrecorded}", params={"mlflow": True}).status_code == 204
    problem_of(api.get(f"/studies/{study_id}"), 404)
    problem_of(api.delete(f"/studies/{study_id}", params={"mlflow": True}), 404)
    found = problem_of(api.delete(f"/studies/{study_id}", params={"mlflow": "perhaps"}), 422)
    assert [fault.pointer for fault in found.faults] == ["/query/mlflow"]


def test_many_are_cancelled_at_once(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    running, failed = bring_to(store, spec, State.RUNNING), bring_to(store, spec, State.FAILED)
    queued = store.add_study(spec, NOW)
    ids = [failed, "nonsense", queued, running]
    answer = api.post("/studies/cancel", json={"ids": ids})
    assert answer.status_code == 200, answer.text
    found = CancelResponse.model_validate_json(answer.content)
    assert [each.id for each in found.studies] == ids
    assert [each.state for each in found.studies] == [None, None, State.CANCELLED, State.CANCELLING]
    assert [each.problem and each.problem.status for each in found.studies] == [409, 404, None, None]
    assert api.post("/studies/cancel", json={"name": "small"}).json() == {"studies": [], "more": False}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"ids": []}, ""),
        ({"ids": ["a"], "name": "b"}, ""),
        ({"ids": "a"}, "/ids"),
        ({"ids": [1]}, "/ids/0"),
        ({"ids": ["x" * 65]}, "/ids/0"),
        ({"ids": ["x"] * 1001}, "/ids"),
        ({"state": ["SLEEPING"]}, "/state/0"),
        ({"state": ["SUCCEEDED"]}, ""),
        ({"name": "x" * 101}, "/name"),
        ({"name": "\x00"}, "/name"),
        ({"states": ["QUEUED"]}, "/states"),
        ([], ""),
    ],
)
def test_what_cannot_be_cancelled_is_named(
    api: httpx.Client, store: Store, spec: StudySpec, body: object, pointer: str
) -> None:
    study_id = store.add_study(spec, NOW)
    found = problem_of(api.post("/studies/cancel", json=body), 422)
    assert [fault.pointer for fault in found.faults] == [pointer]
    problem_of(api.post("/studies/cancel", content=b"{", headers=JSON), 400)
    problem_of(api.post("/studies/cancel", content=json.dumps(body)), 415)
    assert store.state(study_id) is State.QUEUED


def test_studies_are_found_by_state_and_name(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    failed = bring_to(store, spec.model_copy(update={"name": "Sweep 100%"}), State.FAILED)
    running = bring_to(store, spec.model_copy(update={"name": "sweep 1000"}), State.RUNNING)
    queued = store.add_study(spec, NOW)
    assert sorted(listed(api, state=["FAILED", "QUEUED"])) == sorted([failed, queued])
    assert sorted(listed(api, name="SWEEP")) == sorted([failed, running])
    assert listed(api, name="0%") == [failed]
    assert listed(api, name="sweep", state="RUNNING") == [running]
    assert listed(api, name="", archived=False) == sorted([failed, running, queued], reverse=True)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("state=SLEEPING", "/query/state/0"), ("archived=perhaps", "/query/archived"), ("name=%00", "/query/name")],
)
def test_bad_filters_are_named(api: httpx.Client, query: str, pointer: str) -> None:
    found = problem_of(api.get(f"/studies?{query}"), 422)
    assert [fault.pointer for fault in found.faults] == [pointer]
