"""Creation and parsing of API keys."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from service.auth.api_key import new_key, parse_key


def test_keys_differ_and_are_read_back() -> None:
    keys = [new_key() for _ in range(100)]
    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 100
    assert [parse_key(key.text) for key in keys] == keys
    assert {len(bytes.fromhex(key.secret)) for key in keys} == {32}


def test_a_secret_is_in_no_message() -> None:
    key = new_key()
    assert key.id in repr(key)
    assert key.secret not in repr(key)
    assert key.digest == hashlib.sha256(key.secret.encode()).hexdigest()


def test_what_is_almost_a_key_is_none() -> None:
    text = new_key().text
    for almost in (text.upper(), f"{text}\n", f" {text}", text[:-1], f"{text}0", text.replace("_", "-")):
        assert parse_key(almost) is None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    key = parse_key(text)
    assert key is None or key.text == text
