"""Browser sessions: a cookie holds a random token in place of the API key that the user logged in with."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select

from service.errors import UnauthenticatedError
from service.roles import Role
from service.storage.entities import Caller
from service.storage.repositories.studies import Store
from service.storage.tables import api_keys, sessions

#: Name of the cookie with the session's token.
COOKIE_NAME = "l4_session"
#: Time until a session expires.
SESSION_LIFETIME = timedelta(days=30)

_TOKEN_BYTES = 32


class Sessions:
    """The sessions of one database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Read and write nothing yet."""
        self._store = store

    def open(self, key_id: str, now: datetime) -> str:
        """Open a session, store a digest of its token, and return the token; also deletes expired sessions.

        Args:
            key_id: The id of the API key used to log in.
            now: The present time.
        """
        token = secrets.token_hex(_TOKEN_BYTES)
        values = {"digest": _digest(token), "key": key_id, "created_at": now, "expires_at": now + SESSION_LIFETIME}
        with self._store.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at < now))
            connection.execute(insert(sessions).values(values))
        return token

    def authenticate(self, token: str) -> Caller:
        """Return the sender of a request.

        Args:
            token: The value of the session cookie.

        Raises:
            UnauthenticatedError: No such session, or it expired, or its key was revoked.
        """
        query = (
            select(api_keys.c.id, api_keys.c.name, api_keys.c.role)
            .join(sessions, sessions.c.key == api_keys.c.id)
            .where(
                sessions.c.digest == _digest(token),
                sessions.c.expires_at > datetime.now(UTC),
                api_keys.c.revoked_at.is_(None),
            )
        )
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnauthenticatedError(
                "the session has ended, or its key was revoked: log in again at /login; "
                "who keeps the service makes a key with `l4-studies keys create`"
            )
        return Caller(key_id=row.id, name=row.name, role=Role(row.role))

    def close(self, token: str) -> None:
        """Close a session; does nothing if there is none.

        Args:
            token: The value of the session cookie.
        """
        with self._store.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(token)))


def _digest(token: str) -> str:
    # a fast hash is safe for 256 random bits, as for a key's secret
    return hashlib.sha256(token.encode()).hexdigest()
