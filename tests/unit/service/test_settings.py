"""Settings derived from others: whether requests need keys, and the service's URL."""

import pytest

from service.settings import Access, Settings, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_the_machines_own_address_keys_are_needed_by_choice(host: str) -> None:
    assert is_loopback(host)
    assert not Settings(host=host).needs_keys
    assert Settings(host=host, access=Access.KEYS).needs_keys


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "8.8.8.8", "node7", "localhost.example", "127.0.0"])
def test_anywhere_else_they_always_are(host: str) -> None:
    assert not is_loopback(host)
    assert all(Settings(host=host, access=access).needs_keys for access in Access)


@pytest.mark.parametrize(("host", "named"), [("0.0.0.0", "127.0.0.1"), ("", "127.0.0.1"), ("node7", "node7")])
def test_a_service_at_every_address_is_reached_at_the_machines_own(host: str, named: str) -> None:
    assert Settings(host=host, port=8123).url == f"http://{named}:8123"
