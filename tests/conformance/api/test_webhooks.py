"""Webhooks over HTTP: added, listed, tested, removed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.schemas.webhooks import DeliveryResponse, NewWebhookResponse, WebhookResponse
from service.storage.repositories.studies import Store
from service.webhooks.http_client import WebhookClient
from studies.spec.study import StudySpec
from tests.conformance.api.stored_studies import claimed, problem_of
from tests.support.services.webhook_receiver import Receiver, receiver, verify


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def private(app: FastAPI) -> Iterator[None]:
    """Receivers may be where the service is."""
    before = app.state.webhook_client
    app.state.webhook_client = WebhookClient(allow_private=True)
    yield
    app.state.webhook_client = before


def test_one_is_added_listed_and_removed(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    posted = api.post("/webhooks", json={"url": "https://example.com/hook", "states": ["SUCCEEDED", "FAILED"]})
    assert posted.status_code == 201, posted.text
    first = NewWebhookResponse.model_validate(posted.json())
    second = NewWebhookResponse.model_validate(
        api.post("/webhooks", content="url: http://example.com", headers={"Content-Type": "application/yaml"}).json()
    )
    assert len({first.secret, second.secret, first.id, second.id}) == 4
    claimed(store, spec)  # QUEUED, RUNNING
    listed = api.get("/webhooks")
    assert "whsec_" not in listed.text
    found = [WebhookResponse.model_validate(each) for each in listed.json()]
    assert [each.id for each in found] == [first.id, second.id]
    assert [(each.waiting, each.dropped, each.failing_since) for each in found] == [(0, 0, None), (2, 0, None)]
    assert [each.states for each in found] == [first.states, ()]

    removed = api.delete(f"/webhooks/{first.id}")
    assert (removed.status_code, removed.content) == (204, b"")
    assert [each["id"] for each in api.get("/webhooks").json()] == [second.id]
    problem_of(api.delete(f"/webhooks/{first.id}"), 404)
    problem_of(api.post(f"/webhooks/{first.id}/test"), 404)
    for nonsense in ("x", "%00", "0" * 20):
        problem_of(api.delete(f"/webhooks/{nonsense}"), 404)
    assert problem_of(api.get(f"/webhooks/{second.id}"), 405)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/url"]),
        ({"url": 3}, ["/url"]),
        ({"url": "example.com"}, ["/url"]),
        ({"url": "ftp://example.com"}, ["/url"]),
        ({"url": "https://"}, ["/url"]),
        ({"url": "https://user:pass@example.com"}, ["/url"]),
        ({"url": "https://example.com:99999"}, ["/url"]),
        ({"url": "https://[::1"}, ["/url"]),
        ({"url": "https://example.com:0"}, ["/url"]),
        ({"url": "https:///hook"}, ["/url"]),
        ({"url": "https://ex ample.com"}, ["/url"]),
        ({"url": "https://example.com/\n"}, ["/url"]),
        ({"url": "https://example.com/" + "x" * 2000}, ["/url"]),
        ({"url": "https://example.com", "states": ["DONE"]}, ["/states/0"]),
        ({"url": "https://example.com", "secret": "mine"}, ["/secret"]),
        ([], [""]),
    ],
)
def test_faults_are_named(api: httpx.Client, body: Any, pointers: list[str]) -> None:
    problem = problem_of(api.post("/webhooks", json=body), 422)
    assert [fault.pointer for fault in problem.faults] == pointers
    assert api.get("/webhooks").json() == []


def test_what_cannot_be_read_is_refused(api: httpx.Client) -> None:
    problem_of(api.post("/webhooks", content=b"{", headers={"Content-Type": "application/json"}), 400)
    problem_of(api.post("/webhooks", content=b"x", headers={"Content-Type": "text/csv"}), 415)


@pytest.mark.usefixtures("private")
def test_a_test_tells_what_came_back(api: httpx.Client, hook: Receiver) -> None:
    added = NewWebhookResponse.model_validate(api.post("/webhooks", json={"url": hook.url}).json())
    for status in (200, 204, 500, 302):
        hook.answer = lambda _, status=status: status
        answer = api.post(f"/webhooks/{added.id}/test")
        assert answer.status_code == 200
        assert "secret" not in answer.text  # the receiver's own words
        assert DeliveryResponse.model_validate(answer.json()) == DeliveryResponse(
            taken=status < 300, status=status, detail=f"answered {status}"
        )
    for each in hook.got:
        verify(added.secret, each)
        assert each.said["type"] == "webhook.test"
        assert each.said["data"] == {"webhook": added.id}


def test_a_private_receiver_is_refused_by_default(api: httpx.Client, hook: Receiver) -> None:
    added = api.post("/webhooks", json={"url": hook.url}).json()
    found = DeliveryResponse.model_validate(api.post(f"/webhooks/{added['id']}/test").json())
    assert (found.taken, found.status) == (False, None)
    assert "private address" in found.detail
    assert hook.got == []
