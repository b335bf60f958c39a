"""The stored API keys: creation, listing, revocation and authentication."""

import hmac
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import OperationalError

from service.auth.api_key import KEY_FORMAT, ApiKeyRow, new_key, parse_key
from service.errors import (
    BadKeyNameError,
    DiskFullError,
    UnauthenticatedError,
    UnknownKeyError,
    UnreachableError,
    quote_value,
)
from service.home import prepare_home
from service.roles import Role
from service.settings import Settings
from service.storage.engine import is_disk_full, open_engine
from service.storage.entities import Caller
from service.storage.repositories.studies import Store
from service.storage.tables import api_keys

#: Compared for unknown ids, so that they take as long as known ones; no secret has this digest.
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
        """Read and write nothing yet."""
        self._store = store

    def create(self, name: str, role: Role, now: datetime) -> str:
        """Create a key and return it; it cannot be shown again.

        Args:
            name: Name of its holder, the owner of studies posted with it; keys with the same name have the same owner.
            role: Role of its holder.
            now: The present time.

        Raises:
            BadKeyNameError: The name is invalid.
        """
        if _NAME.fullmatch(name) is None:
            raise BadKeyNameError(f"the name {quote_value(name)}: give 1 to 100 letters, digits and any of . _ @ + -")
        key = new_key()
        values = {"id": key.id, "name": name, "role": role.value, "digest": key.digest, "created_at": now}
        with self._store.writing() as connection:
            connection.execute(insert(api_keys).values(values))
        return key.text

    def list_keys(self) -> tuple[ApiKeyRow, ...]:
        """Return all keys, revoked ones too, in order of creation."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        with self._store.reading() as connection:
            return tuple(_key_from_row(row) for row in connection.execute(query))

    def revoke(self, key_id: str, now: datetime) -> ApiKeyRow:
        """Revoke a key; does nothing if it was revoked before.

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
        """Return the sender of a request.

        Args:
            authorization: The request's `Authorization` header, empty if it has none.

        Raises:
            UnauthenticatedError: The header has no valid key.
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
        """Return whether a key was revoked, for requests that stay open after authentication.

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
    """Yield the keys of a deployment, after migrating its database.

    Args:
        settings: The deployment's settings.

    Raises:
        ForeignDatabaseError: The database is from a newer version, or not of this service.
        DiskFullError: The database's disk is full.
        UnreachableError: The database cannot be reached.
        UnwritableHomeError: The folder of the SQLite database cannot be written to.
    """
    if not settings.database:
        prepare_home(settings.home)
    engine = open_engine(settings.database_url)
    try:
        store = Store(engine)
        store.migrate()
        yield ApiKeys(store)
    except OperationalError as error:
        if is_disk_full(error):
            raise DiskFullError(f"the disk of the database at {engine.url!r} is full; free room on it") from error
        raise UnreachableError(f"the database at {engine.url!r} does not answer: {error.orig}") from error
    finally:
        engine.dispose()
