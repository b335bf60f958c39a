"""Who may ask what: every route of the application by every kind of caller, over HTTP."""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from service.api.authorization import RequireRole, allow_anonymous
from service.api.middleware.authentication import is_public_path
from service.api.middleware.security_headers import SECURITY_HEADERS
from service.api.openapi import STUDY_JSON
from service.auth.keys import ApiKeys
from service.roles import Role
from service.runner.ledger import StudyLedger
from service.schemas.studies import StudyResponse
from service.states import State
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.conformance.api.routes_by_role import (
    EVERYBODY,
    MLFLOW_TABLE,
    OWNERS,
    PARAMETERS,
    READERS,
    TABLE,
    As,
)
from tests.conformance.api.stored_studies import NOW, problem_of
from tests.support.minimal_report import MINIMAL_REPORT


@pytest.fixture
def keys(store: Store) -> dict[As, str]:
    """A key of every kind of caller; empty for none."""
    made = ApiKeys(store)
    owners = made.create("owner", Role.SUBMITTER, NOW)
    revoked = made.create("former", Role.ADMIN, NOW)
    made.revoke(revoked.split("_")[1], NOW)
    return {
        As.NOBODY: "",
        As.WRONG: owners[:-1] + ("0" if owners[-1] != "0" else "1"),
        As.REVOKED: revoked,
        As.READER: made.create("reader", Role.READER, NOW),
        As.OWNER: owners,
        As.OTHER: made.create("other", Role.SUBMITTER, NOW),
        As.ADMIN: made.create("admin", Role.ADMIN, NOW),
    }


@pytest.fixture
def study_id(store: Store, spec: StudySpec) -> str:
    """A queued study of the owner's, with a report of an earlier attempt."""
    study_id = store.add_study(spec, NOW, owner="owner")
    claim = store.claim(NOW, 1e6)
    assert claim is not None
    StudyLedger(store, study_id, claim.token).save_report(MINIMAL_REPORT)
    store.release(study_id, claim.token)
    return study_id


def header(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def routes(app: FastAPI) -> Iterator[tuple[str, RouteContext]]:
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ():
            yield f"{method} {route.path}", route


def dependencies(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from dependencies(each)


def test_every_route_is_in_the_table(keyed_app: FastAPI) -> None:
    assert sorted(name for name, _ in routes(keyed_app)) == sorted(TABLE)


def test_every_route_declares_what_it_needs(app: FastAPI, keyed_app: FastAPI) -> None:
    for name, route in (*routes(app), *routes(keyed_app)):
        assert isinstance(route.original_route, APIRoute), f"{name} can declare nothing"
        declared = list(dependencies(route.dependant))
        is_open = allow_anonymous in declared
        needed = [each for each in declared if isinstance(each, RequireRole)]
        assert is_open or needed, f"{name} declares no role: see service/api/authorization.py"
        assert is_open == is_public_path(str(route.path))
        assert not (is_open and needed)


@pytest.mark.parametrize("name", TABLE)
def test_who_may_ask(keyed_api: httpx.Client, keys: dict[As, str], study_id: str, name: str) -> None:
    method, path = name.split(" ")
    row, path = TABLE[name], path.format(study_id=study_id, **PARAMETERS)
    for caller, key in keys.items():
        request = keyed_api.build_request(method, path, json=row.json, headers=header(key) | dict(row.headers))
        answer = keyed_api.send(request, stream=True)  # events have no end
        if caller in row.who:
            assert answer.status_code == row.status, f"{name} {caller}"
        else:
            answer.read()
            found = problem_of(answer, 403 if caller in READERS else 401)
            assert (answer.headers.get("www-authenticate") == "Bearer") == (found.status == 401)
            assert "keys create" in found.detail or "owner's key" in found.detail
            assert key[16:] not in answer.text or not key
        answer.close()
        assert SECURITY_HEADERS.keys() <= {each.title() for each in answer.headers}, f"{name} {caller}"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", MLFLOW_TABLE)
def test_who_may_send_what_to_mlflow(keyed_api: httpx.Client, keys: dict[As, str], name: str) -> None:
    method, uri = name.split(" ")
    original = {"X-Original-Method": method, "X-Original-URI": uri}
    for caller, key in keys.items():
        answer = keyed_api.get("/caller/mlflow", headers=original | header(key))
        if caller in MLFLOW_TABLE[name]:
            assert answer.status_code == 200, f"{name} {caller}"
        else:
            found = problem_of(answer, 403 if caller in READERS else 401)
            assert "keys create" in found.detail or "artifact_location" in found.detail


def test_a_request_to_mlflow_that_is_not_described_is_not_admitted(
    keyed_api: httpx.Client, keys: dict[As, str]
) -> None:
    for original in ({}, {"X-Original-Method": "GET"}, {"X-Original-URI": "/mlflow/"}):
        problem_of(keyed_api.get("/caller/mlflow", headers=original | header(keys[As.ADMIN])), 422)


@pytest.mark.parametrize("origin", [{"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_changes_nothing_in_mlflow(
    keyed_api: httpx.Client, keys: dict[As, str], origin: dict[str, str]
) -> None:
    asked = {"X-Original-URI": "/mlflow/api/2.0/mlflow/runs/delete"} | header(keys[As.ADMIN])
    for method, status in (("POST", 403), ("DELETE", 403), ("GET", 200)):
        answer = keyed_api.get("/caller/mlflow", headers=asked | origin | {"X-Original-Method": method})
        assert answer.status_code == status


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.who == OWNERS])
def test_what_was_refused_has_changed_nothing(
    keyed_api: httpx.Client, keys: dict[As, str], store: Store, study_id: str, name: str
) -> None:
    method, path = name.split(" ")
    before = store.study(study_id), store.events(study_id)
    for caller in EVERYBODY - OWNERS:
        keyed_api.request(method, path.format(study_id=study_id), headers=header(keys[caller]))
    assert (store.study(study_id), store.events(study_id)) == before


def test_a_study_without_an_owner_is_the_admins(
    keyed_api: httpx.Client, keys: dict[As, str], store: Store, spec: StudySpec
) -> None:
    path = f"/studies/{store.add_study(spec, NOW)}/pause"
    refused = problem_of(keyed_api.post(path, headers=header(keys[As.OWNER])), 403)
    assert "nobody's" in refused.detail
    assert keyed_api.post(path, headers=header(keys[As.ADMIN])).status_code == 200


def test_unknown_paths_studies_and_methods_are_told_to_holders_of_keys_only(
    keyed_api: httpx.Client, keys: dict[As, str]
) -> None:
    asked = (("GET", "/nothing", 404), ("DELETE", "/studies", 405), ("POST", f"/studies/{'0' * 20}/cancel", 404))
    for method, path, status in asked:
        problem_of(keyed_api.request(method, path), 401)
        problem_of(keyed_api.request(method, path, headers=header(keys[As.OWNER])), status)


@pytest.mark.parametrize(
    "authorization",
    ["Basic {}", "{}", "Bearer", "Bearer x", "Bearer {}x", "Bearer l4__", "Bearer {} {}", "Bearer\t{}"],
)
def test_what_is_not_sent_as_a_key_is_none(keyed_api: httpx.Client, keys: dict[As, str], authorization: str) -> None:
    key = keys[As.ADMIN]
    answer = keyed_api.get("/studies", headers={"Authorization": authorization.format(key, key)})
    problem_of(answer, 401)
    assert key not in answer.text


def test_a_body_is_not_read_before_its_sender_may_post(keyed_api: httpx.Client, keys: dict[As, str]) -> None:
    for key, status in ((keys[As.NOBODY], 401), (keys[As.READER], 403), (keys[As.OTHER], 400)):
        headers = {"Content-Type": "application/json"} | header(key)
        problem_of(keyed_api.post("/studies", content=b"no study", headers=headers), status)


def test_a_study_is_its_posters(keyed_api: httpx.Client, keys: dict[As, str]) -> None:
    posted = keyed_api.post("/studies", json=STUDY_JSON, headers=header(keys[As.OTHER]))
    study = StudyResponse.model_validate_json(posted.content)
    assert study.owner == "other"
    listed = keyed_api.get("/studies", headers=header(keys[As.READER])).json()["studies"]
    assert [each["owner"] for each in listed] == ["other"]


def test_an_idempotency_key_is_its_owners(keyed_api: httpx.Client, keys: dict[As, str], store: Store) -> None:
    named = {"Idempotency-Key": "the first"}
    ids = {
        caller: [
            keyed_api.post("/studies", json=STUDY_JSON, headers=named | header(keys[caller])).json()["id"]
            for _ in range(2)
        ]
        for caller in (As.OWNER, As.OTHER)
    }
    assert ids[As.OWNER][0] == ids[As.OWNER][1] != ids[As.OTHER][0] == ids[As.OTHER][1]
    other = STUDY_JSON | {"name": "Another"}
    assert keyed_api.post("/studies", json=other, headers=named | header(keys[As.ADMIN])).status_code == 202
    refused = problem_of(keyed_api.post("/studies", json=other, headers=named | header(keys[As.OTHER])), 422)
    assert ids[As.OTHER][0] in refused.detail
    assert ids[As.OWNER][0] not in refused.detail


def test_a_revoked_key_is_worth_nothing_at_once(
    keyed_api: httpx.Client, keys: dict[As, str], store: Store, study_id: str
) -> None:
    headers = header(keys[As.READER])
    with keyed_api.stream("GET", f"/studies/{study_id}/events", headers=headers) as events:
        lines = events.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: QUEUED"
        ApiKeys(store).revoke(keys[As.READER].split("_")[1], datetime.now(UTC))
        assert "revoked" in problem_of(keyed_api.get("/studies", headers=headers), 401).detail
        store.transition(study_id, State.FAILED, "after the key was revoked")
        assert not [line for line in lines if "FAILED" in line]


def test_where_no_key_is_needed_only_this_machine_is_meant(api: httpx.Client, definition: dict[str, Any]) -> None:
    for host in ("localhost:1", "127.0.0.1", "[::1]:8440", "127.9.9.9"):
        assert api.get("/studies", headers={"Host": host}).status_code == 200
    for host in ("rebound.example", "10.0.0.1:8440", "127.0.0.1.example", "[::1", "localhost.", "a@127.0.0.1", "[]"):
        for path in ("/studies", "/docs", "/nothing"):
            assert "L4_ACCESS=keys" in problem_of(api.get(path, headers={"Host": host}), 403).detail
        assert api.get("/healthz", headers={"Host": host}).status_code == 200
    answer = api.post("/studies", json=definition, headers=header("l4_nobody_looks"))
    assert (answer.status_code, answer.json()["owner"]) == (202, None)


@pytest.mark.parametrize(
    "added", ["X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto", "X-Forwarded-Server", "Forwarded", "Via"]
)
def test_where_no_key_is_needed_no_proxy_is_before_it(
    api: httpx.Client, keyed_api: httpx.Client, keys: dict[As, str], definition: dict[str, Any], added: str
) -> None:
    proxied = {added: "127.0.0.1"}
    for method, path in (("GET", "/studies"), ("GET", "/"), ("POST", "/studies"), ("GET", "/nothing")):
        refused = problem_of(api.request(method, path, json=definition, headers=proxied), 403)
        assert repr(added.lower()) in refused.detail
        assert "L4_ACCESS=keys" in refused.detail
    assert api.get("/studies").json()["studies"] == []
    assert api.get("/healthz", headers=proxied).status_code == 200
    assert keyed_api.get("/studies", headers=proxied | header(keys[As.READER])).status_code == 200


def test_pages_are_allowed_what_they_need(api: httpx.Client) -> None:
    page = api.get("/docs")
    policy = page.headers["content-security-policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src https://cdn.jsdelivr.net 'sha256-{digest}'; " in policy
    loaded = re.findall(r'(?:src|href)="(https://[^/"]+)', page.text)
    assert len(loaded) == 3
    assert all(place in policy for place in loaded)
    assert "default-src 'none'" in api.get("/studies").headers["content-security-policy"]
    assert "cache-control" not in api.get("/studies").headers


def test_an_error_of_the_service_has_the_headers_too(empty_api: httpx.Client, store: Store) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO catalogue VALUES (1, 'nonsense')")
    answer = empty_api.get("/workloads")
    problem_of(answer, 500)
    assert SECURITY_HEADERS.keys() <= {each.title() for each in answer.headers}


def test_a_database_that_does_not_answer_is_a_503_before_any_route(
    keyed_api: httpx.Client, keys: dict[As, str], store: Store
) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE api_keys")
    found = problem_of(keyed_api.get("/studies", headers=header(keys[As.READER])), 503)
    assert "database" in found.detail
    assert keyed_api.get("/healthz").status_code == 200


def test_only_admins_put_studies_before_those_of_others(keyed_api: httpx.Client, keys: dict[As, str]) -> None:
    for caller, priority, status in ((As.OTHER, 0, 202), (As.OTHER, -5, 202), (As.OTHER, 1, 403), (As.ADMIN, 1, 202)):
        path = f"/studies?priority={priority}"
        assert keyed_api.post(path, json=STUDY_JSON, headers=header(keys[caller])).status_code == status


def test_of_many_studies_a_submitter_cancels_its_own(
    keyed_api: httpx.Client, keys: dict[As, str], store: Store, spec: StudySpec, study_id: str
) -> None:
    others = store.add_study(spec, NOW, owner="other")
    body = {"ids": [study_id, others]}
    answer = keyed_api.post("/studies/cancel", json=body, headers=header(keys[As.OWNER])).json()
    assert [each["state"] for each in answer["studies"]] == ["CANCELLED", None]
    assert answer["studies"][1]["problem"]["status"] == 403
    more = store.add_study(spec, NOW, owner="owner")
    answer = keyed_api.post("/studies/cancel", json={"state": ["QUEUED"]}, headers=header(keys[As.OWNER])).json()
    assert [each["id"] for each in answer["studies"]] == [more]
    assert store.study(others).state is State.QUEUED
    answer = keyed_api.post("/studies/cancel", json={"state": ["QUEUED"]}, headers=header(keys[As.ADMIN])).json()
    assert [each["id"] for each in answer["studies"]] == [others]


def test_a_clone_is_its_makers(keyed_api: httpx.Client, keys: dict[As, str], study_id: str) -> None:
    clone = keyed_api.post(f"/studies/{study_id}/clone", headers=header(keys[As.OTHER])).json()
    assert clone["owner"] == "other"
