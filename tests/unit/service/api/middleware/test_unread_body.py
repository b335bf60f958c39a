"""What a request's body still has is read before an answer that does not need it."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.api.middleware import unread_body
from service.api.middleware.unread_body import MAX_DISCARDED_BYTES, UnreadBodyMiddleware

CHUNK = 100_000


def answered(chunks: int, declared: str | None, *, waits: bool = False) -> tuple[int, list[str]]:
    """Return how many chunks of a body were read, and what was sent after how many, by one that reads none."""
    read, sent = 0, list[str]()

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        nonlocal read
        if read == chunks and waits:
            await asyncio.Event().wait()
        read += 1
        return {"type": "http.request", "body": bytes(CHUNK), "more_body": waits or read < chunks}

    async def send(message: Message) -> None:
        sent.append(f"{message['type']} after {read}")

    headers = [(b"transfer-encoding", b"chunked")] if declared is None else [(b"content-length", declared.encode())]
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(UnreadBodyMiddleware(refuse)(scope, receive, send))
    return read, sent


@pytest.mark.parametrize("declared", ["900000", None])
def test_a_body_is_read_before_its_answer(declared: str | None) -> None:
    assert answered(9, declared) == (9, ["http.response.start after 9", "http.response.body after 9"])


def test_no_more_is_read_than_is_passed_on() -> None:
    assert answered(10**6, None)[0] == 1 + MAX_DISCARDED_BYTES // CHUNK
    assert answered(10**6, str(MAX_DISCARDED_BYTES + 1))[0] == 0
    assert answered(10**6, "9" * 30)[0] == 0


def test_without_a_body_nothing_is_read() -> None:
    assert answered(1, "0")[0] == 0


def test_a_body_that_does_not_come_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_body, "MAX_SECONDS", 0.1)
    assert answered(2, "900000", waits=True) == (2, ["http.response.start after 2", "http.response.body after 2"])
