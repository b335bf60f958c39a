"""API keys: creation, listing, revocation and authentication; the database contains no usable key."""

import hmac
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from service.auth.keys import ApiKeys
from service.errors import BadKeyNameError, UnauthenticatedError, UnknownKeyError
from service.roles import Role
from service.storage.engine import open_engine
from service.storage.entities import Caller
from service.storage.repositories.studies import Store
from service.storage.tables import api_keys

pytestmark = pytest.mark.heavy

BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def with_other_digit(text: str, place: int) -> str:
    """Return a key with one digit changed."""
    return text[:place] + ("1" if text[place] == "0" else "0") + text[place + 1 or len(text) :]


@BOTH
def test_a_key_tells_whose_it_is_until_it_is_revoked(store: Store) -> None:
    keys = ApiKeys(store)
    texts = {role: keys.create(f"a-{role}", role, NOW) for role in Role}
    for role, text in texts.items():
        key_id = text.split("_")[1]
        assert keys.authenticate(f"Bearer {text}") == Caller(key_id=key_id, name=f"a-{role}", role=role)
        assert not keys.is_revoked(key_id)
        for _ in range(2):
            assert keys.revoke(key_id, NOW + timedelta(seconds=1)).revoked_at == NOW + timedelta(seconds=1)
        assert keys.revoke(key_id, NOW + timedelta(seconds=2)).revoked_at == NOW + timedelta(seconds=1)
        with pytest.raises(UnauthenticatedError, match=f"the key {key_id} of a-{role} was revoked"):
            keys.authenticate(f"Bearer {text}")
        assert keys.is_revoked(key_id)


@BOTH
def test_keys_are_listed_as_they_were_made(store: Store) -> None:
    keys = ApiKeys(store)
    assert keys.list_keys() == ()
    first = keys.create("same", Role.READER, NOW).split("_")[1]
    second = keys.create("same", Role.ADMIN, NOW + timedelta(seconds=1)).split("_")[1]
    keys.revoke(first, NOW + timedelta(seconds=2))
    assert [(row.id, row.name, row.role, row.created_at) for row in keys.list_keys()] == [
        (first, "same", Role.READER, NOW),
        (second, "same", Role.ADMIN, NOW + timedelta(seconds=1)),
    ]
    assert [row.revoked_at for row in keys.list_keys()] == [NOW + timedelta(seconds=2), None]


@BOTH
@pytest.mark.parametrize("key_id", ["", "0" * 12, "nonsense", "' OR 1=1 --", "x" * 1000])
def test_an_unknown_id_is_not_revoked(store: Store, key_id: str) -> None:
    ApiKeys(store).create("kept", Role.READER, NOW)
    with pytest.raises(UnknownKeyError, match="no key has the id"):
        ApiKeys(store).revoke(key_id, NOW)
    assert ApiKeys(store).list_keys()[0].revoked_at is None


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 101, "a\n", "[red]", "ä", "a/b", "\x00"])
def test_a_name_is_plain(store: Store, name: str) -> None:
    with pytest.raises(BadKeyNameError, match="letters, digits"):
        ApiKeys(store).create(name, Role.READER, NOW)
    assert ApiKeys(store).list_keys() == ()


def test_nothing_in_the_database_is_a_key(store: Store, tmp_path: Path) -> None:
    keys = ApiKeys(store)
    text = keys.create("holder", Role.ADMIN, NOW)
    secret = text.split("_")[2]
    with store.reading() as connection:
        row = connection.execute(select(api_keys)).mappings().one()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert row["id"].encode() in content  # the id is stored, so the secret would be found too
    assert secret.encode() not in content
    assert bytes.fromhex(secret) not in content
    for value in {str(value) for value in row.values()}:
        for guess in (value, f"l4_{row['id']}_{value}"):
            with pytest.raises(UnauthenticatedError):
                keys.authenticate(f"Bearer {guess}")


@pytest.fixture
def wrong(store: Store) -> dict[str, str]:
    """Well-formed keys that are invalid, by what is wrong."""
    text = ApiKeys(store).create("holder", Role.READER, NOW)
    return {
        "unknown id": with_other_digit(text, 3),
        "secret wrong at its start": with_other_digit(text, 16),
        "secret wrong at its end": with_other_digit(text, -1),
    }


def test_digests_are_compared_whatever_is_wrong(
    store: Store, wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    messages = set[str]()
    for text in wrong.values():
        with pytest.raises(UnauthenticatedError) as refused:
            ApiKeys(store).authenticate(f"Bearer {text}")
        messages.add(str(refused.value))
    assert len(messages) == 1  # the message does not reveal whether the id exists
    assert [(len(one), len(other)) for one, other in compared] == [(64, 64)] * 3


def never(_one: str, _other: str) -> bool:
    return False


def test_that_digests_are_equal_is_all_that_decides(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ApiKeys(store).create("holder", Role.READER, NOW)
    monkeypatch.setattr(hmac, "compare_digest", never)
    with pytest.raises(UnauthenticatedError):
        ApiKeys(store).authenticate(f"Bearer {text}")


def test_what_is_wrong_cannot_be_told_from_the_time_it_takes(store: Store, wrong: dict[str, str]) -> None:
    """The tolerance is coarse: it detects a skipped comparison or a slow hash, but ignores noise."""
    keys = ApiKeys(store)
    seconds: dict[str, list[float]] = {what: [] for what in wrong}
    for _ in range(300):  # alternating, so that a slowdown of the machine affects all equally
        for what, text in wrong.items():
            seconds[what].append(_seconds(lambda text=text: keys.authenticate(f"Bearer {text}")))
    medians = {what: statistics.median(measured) for what, measured in seconds.items()}
    assert max(medians.values()) < 1.5 * min(medians.values()), medians


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    with pytest.raises(UnauthenticatedError):
        work()
    return time.perf_counter() - start


def test_a_revocation_is_seen_by_every_process(store: Store, database: str) -> None:
    text = ApiKeys(store).create("holder", Role.READER, NOW)
    engine = open_engine(database)
    ApiKeys(Store(engine)).revoke(text.split("_")[1], NOW)
    engine.dispose()
    with pytest.raises(UnauthenticatedError, match="revoked"):
        ApiKeys(store).authenticate(f"Bearer {text}")
