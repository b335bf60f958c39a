"""Sessions in a real database: authentication, expiry and revocation."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from service.auth.keys import ApiKeys
from service.auth.sessions import SESSION_LIFETIME, Sessions
from service.errors import UnauthenticatedError
from service.roles import Role
from service.storage.repositories.studies import Store
from service.storage.tables import sessions

pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def key_id(store: Store) -> str:
    return ApiKeys(store).create("ada", Role.SUBMITTER, datetime.now(UTC)).split("_")[1]


def test_a_session_is_its_keys_holder_until_it_is_closed(store: Store, key_id: str) -> None:
    token = Sessions(store).open(key_id, datetime.now(UTC))
    caller = Sessions(store).authenticate(token)
    assert (caller.key_id, caller.name, caller.role) == (key_id, "ada", Role.SUBMITTER)
    other = Sessions(store).open(key_id, datetime.now(UTC))
    Sessions(store).close(token)
    with pytest.raises(UnauthenticatedError, match="log in again"):
        Sessions(store).authenticate(token)
    assert Sessions(store).authenticate(other) == caller


def test_it_is_worth_nothing_once_its_key_is_revoked_or_its_time_is_over(store: Store, key_id: str) -> None:
    now = datetime.now(UTC)
    old = Sessions(store).open(key_id, now - SESSION_LIFETIME)
    nearly = Sessions(store).open(key_id, now - SESSION_LIFETIME + timedelta(minutes=5))
    with pytest.raises(UnauthenticatedError):
        Sessions(store).authenticate(old)
    assert Sessions(store).authenticate(nearly).key_id == key_id
    ApiKeys(store).revoke(key_id, now)
    with pytest.raises(UnauthenticatedError):
        Sessions(store).authenticate(nearly)


def test_the_database_holds_no_token_and_no_old_session(store: Store, key_id: str) -> None:
    Sessions(store).open(key_id, datetime.now(UTC) - SESSION_LIFETIME - timedelta(seconds=1))
    token = Sessions(store).open(key_id, datetime.now(UTC))
    with store.reading() as connection:
        rows = connection.execute(select(sessions)).all()
    assert len(rows) == 1
    assert token not in str(rows)


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "é"])
def test_what_is_no_token_is_refused(store: Store, key_id: str, token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        Sessions(store).authenticate(token)
