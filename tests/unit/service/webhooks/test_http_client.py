"""The HTTP client for webhooks: allowed and refused addresses, and the result of an attempt."""

import asyncio
import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.webhooks import http_client
from service.webhooks.http_client import DeliveryResult, WebhookClient
from tests.support.services.webhook_receiver import Receiver, receiver


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as hook:
        yield hook


def leading_to(*addresses: str) -> Callable[[str], list[http_client.Address]]:
    """Return a DNS lookup that resolves every name to the given addresses."""

    def look_up(_host: str) -> list[http_client.Address]:
        return [ipaddress.ip_address(each) for each in addresses]

    return look_up


def post(url: str, *, private: bool = True) -> DeliveryResult:
    return asyncio.run(WebhookClient(allow_private=private).post(url, b"{}", {"webhook-id": "msg_1"}))


def test_a_status_comes_back_and_nothing_else(hook: Receiver) -> None:
    assert post(hook.url) == DeliveryResult(status=204, detail="answered 204")
    hook.answer = lambda _: 418
    assert post(hook.url) == DeliveryResult(status=418, detail="answered 418")
    assert not post(hook.url).accepted


def test_redirects_are_not_followed(hook: Receiver) -> None:
    hook.answer = lambda _: 302
    result = post(hook.url)
    assert (result.status, result.accepted) == (302, False)
    assert [each.path for each in hook.got] == ["/hook"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "127.1", "0x7f000001", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_private_addresses_are_refused(hook: Receiver, host: str) -> None:
    result = post(f"http://{host}:{hook.port}/hook", private=False)
    assert result.status is None
    assert "has a private address" in result.detail
    assert "L4_WEBHOOKS_PRIVATE" in result.detail
    assert hook.got == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_is_what_everybody_reaches(address: str, public: bool) -> None:
    assert http_client._is_public(ipaddress.ip_address(address)) is public  # pyright: ignore[reportPrivateUsage]


def test_one_private_address_among_several_is_enough(monkeypatch: pytest.MonkeyPatch, hook: Receiver) -> None:
    monkeypatch.setattr(http_client, "_resolve", leading_to("93.184.216.34", "127.0.0.1"))
    assert "private" in post(f"http://receiver.test:{hook.port}/", private=False).detail


def test_what_is_connected_to_is_what_was_looked_at(monkeypatch: pytest.MonkeyPatch, hook: Receiver) -> None:
    """A second lookup with another result (DNS rebinding) has no effect."""
    looked: list[str] = []

    def look_up(host: str) -> list[ipaddress.IPv4Address]:
        looked.append(host)
        return [ipaddress.IPv4Address("127.0.0.2" if len(looked) > 1 else "127.0.0.1")]

    monkeypatch.setattr(http_client, "_resolve", look_up)
    assert post(f"http://receiver.test:{hook.port}/a?b=c").status == 204
    assert looked == ["receiver.test"]
    assert hook.got[0].headers["host"] == f"receiver.test:{hook.port}"
    assert hook.got[0].path == "/a?b=c"


def test_the_next_address_is_tried_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch, hook: Receiver) -> None:
    monkeypatch.setattr(http_client, "_resolve", leading_to("127.0.0.9", "127.0.0.1"))
    assert post(f"http://receiver.test:{hook.port}/").status == 204


def test_what_is_not_there_is_told_in_words() -> None:
    with receiver() as gone:
        url = gone.url
    assert post(url).detail == "no connection: refused, cut off, or with a certificate that is not to be trusted"
    assert post(f"http://{'x' * 70}.com/").detail.endswith("is not known")
    assert post("http://no-such-host.invalid/").detail == "the host no-such-host.invalid is not known"


@pytest.mark.parametrize(("name", "status"), [("receiver.test", 204), ("other.test", None)])
def test_a_certificate_is_of_the_name_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: Receiver, name: str, status: int | None
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=receiver.test"),
            *("-addext", "subjectAltName=DNS:receiver.test", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    hook.secure(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)

    def context(*, trust_env: bool) -> ssl.SSLContext:
        assert not trust_env
        return trusting

    monkeypatch.setattr(http_client.httpx, "create_ssl_context", context)
    monkeypatch.setattr(http_client, "_resolve", leading_to("127.0.0.1"))
    assert post(f"https://{name}:{hook.port}/").status == status
    assert len(hook.got) == (status is not None)


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "TIMEOUT_SECONDS", 0.5)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"x: y\r\n")
            await asyncio.sleep(0.05)

    async def all_of_it() -> DeliveryResult:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        result = await WebhookClient(allow_private=True).post(f"http://127.0.0.1:{port}/", b"{}", {})
        server.close()
        await asyncio.sleep(0.2)  # until the server notices that the client has disconnected
        return result

    assert asyncio.run(all_of_it()).detail == "no answer within 0.5 s"
