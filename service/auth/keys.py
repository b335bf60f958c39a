"""The API keys of a database: made, listed, revoked, and told apart from what is none."""

import hmac
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import OperationalError

from service.auth.api_key import KEY_FORMAT, ApiKeyRow, new_key, parse_key
from service.errors import BadKeyNameError, UnauthenticatedError, UnknownKeyError, UnreachableError, quote_value
from service.roles import Role
from service.settings import Settings
from service.storage.engine import open_engine
from service.storage.entities import Caller
from service.storage.repositories.studies import Store
from service.storage.tables import api_keys

#: No secret has this digest; what is compared where no key has the id, so that it takes as long.
_DUMMY_DIGEST = "0" * 64
_NAME = re.compile(r"[A-Za-z0-9._@+-]{1,100}")
_REMEDY = (
    "send one as `Authorization: Bearer KEY` (`--api-key` or L4_API_KEY of `l4-studies`); "
    "who keeps the service makes one with `l4-studies keys create`"
)


class ApiKeys:
    """The API keys of one database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Keep the database; nothing is read or written yet."""
        self._store = store

    def create(self, name: str, role: Role, now: datetime) -> str:
        """Make a key, and return it; it is never seen again.

        Args:
            name: Of its holder, who owns the studies that are posted with it; keys of one name are of one owner.
            role: What its holder may do.
            now: The present time.

        Raises:
            BadKeyNameError: It is no such name.
        """
        if _NAME.fullmatch(name) is None:
            raise BadKeyNameError(f"the name {quote_value(name)}: give 1 to 100 letters, digits and any of . _ @ + -")
        key = new_key()
        values = {"id": key.id, "name": name, "role": role.value, "digest": key.digest, "created_at": now}
        with self._store.writing() as connection:
            connection.execute(insert(api_keys).values(values))
        return key.text

    def list_keys(self) -> tuple[ApiKeyRow, ...]:
        """Return all keys, revoked ones too, in the order in which they were made."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        with self._store.reading() as connection:
            return tuple(_key_from_row(row) for row in connection.execute(query))

    def revoke(self, key_id: str, now: datetime) -> ApiKeyRow:
        """Make a key worth nothing from now on; one that was revoked before stays as it is.

        Args:
            key_id: The key's id.
            now: The present time.

        Raises:
            UnknownKeyError: No key has the id.
        """
        same_key = api_keys.c.id == key_id
        with self._store.writing() as connection:
            connection.execute(update(api_keys).where(same_key, api_keys.c.revoked_at.is_(None)).values(revoked_at=now))
            row = connection.execute(select(api_keys).where(same_key)).one_or_none()
        if row is None:
            raise UnknownKeyError(
                f"no key has the id {quote_value(key_id)}; `l4-studies keys list` shows those there are"
            )
        return _key_from_row(row)

    def authenticate(self, authorization: str) -> Caller:
        """Return who sends a request.

        Args:
            authorization: The request's header of that name, empty where it has none.

        Raises:
            UnauthenticatedError: It has no key that is worth anything.
        """
        scheme, _, key_text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthenticatedError(f"this service is used with an API key: {_REMEDY}")
        key = parse_key(key_text.strip())
        if key is None:
            raise UnauthenticatedError(f"what was sent has not the form of a key, {KEY_FORMAT}: {_REMEDY}")
        with self._store.reading() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == key.id)).one_or_none()
        matches = hmac.compare_digest(key.digest, _DUMMY_DIGEST if row is None else row.digest)
        if row is None or not matches:
            raise UnauthenticatedError(f"the key is none of this service's: {_REMEDY}")
        if row.revoked_at is not None:
            raise UnauthenticatedError(f"the key {row.id} of {row.name} was revoked: {_REMEDY}")
        return Caller(key_id=row.id, name=row.name, role=Role(row.role))

    def is_revoked(self, key_id: str) -> bool:
        """Say whether a key was revoked since its holder began to ask something that takes long.

        Args:
            key_id: The key's id.
        """
        query = select(api_keys.c.revoked_at).where(api_keys.c.id == key_id)
        with self._store.reading() as connection:
            return connection.execute(query).scalar_one() is not None


def _key_from_row(row: Row[*tuple[Any, ...]]) -> ApiKeyRow:
    return ApiKeyRow(
        id=row.id, name=row.name, role=Role(row.role), created_at=row.created_at, revoked_at=row.revoked_at
    )


@contextmanager
def open_api_keys(settings: Settings) -> Generator[ApiKeys]:
    """Give the keys of a deployment, its database brought to this version's tables first.

    Args:
        settings: The deployment's.

    Raises:
        ForeignDatabaseError: The database is of a newer version, or not of this service.
        UnreachableError: It does not answer.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database_url)
    try:
        store = Store(engine)
        store.migrate()
        yield ApiKeys(store)
    except OperationalError as error:
        raise UnreachableError(f"the database at {engine.url!r} does not answer: {error.orig}") from error
    finally:
        engine.dispose()
