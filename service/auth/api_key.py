"""API keys of the form `l4_<id>_<secret>`: the id is public, and only a digest of the secret is stored."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from service.roles import Role

#: The form of a key, for messages.
KEY_FORMAT = "l4_<id>_<secret>"

_ID_BYTES, _SECRET_BYTES = 6, 32
_KEY = re.compile(r"l4_([0-9a-f]{12})_([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A complete API key, with its secret.

    Args:
        id: The public id.
        secret: 256 random bits in hexadecimal; never shown in messages.
    """

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The key as clients send it: `l4_<id>_<secret>`."""
        return f"l4_{self.id}_{self.secret}"

    @property
    def digest(self) -> str:
        """SHA-256 of the secret; 256 random bits need no slow password hash."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ApiKeyRow:
    """A stored API key, without the digest of its secret.

    Args:
        id: The public id.
        name: Name of its holder.
        role: Role of its holder.
        created_at: When it was created (UTC).
        revoked_at: When it was revoked; None if it is valid.
    """

    id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


def new_key() -> ApiKey:
    """Return a new random key."""
    return ApiKey(id=secrets.token_hex(_ID_BYTES), secret=secrets.token_hex(_SECRET_BYTES))


def parse_key(text: str) -> ApiKey | None:
    """Parse a key; return None if the text does not have the form of a key.

    Args:
        text: The key as a client sent it.
    """
    match = _KEY.fullmatch(text)
    return None if match is None else ApiKey(id=match[1], secret=match[2])
