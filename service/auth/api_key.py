"""An API key: `l4_<id>_<secret>`, of which the id is public and only the secret's digest is kept."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from service.roles import Role

#: What a key looks like, for people.
KEY_FORMAT = "l4_<id>_<secret>"

_ID_BYTES, _SECRET_BYTES = 6, 32
_KEY = re.compile(r"l4_([0-9a-f]{12})_([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """An API key as its holder has it.

    Args:
        id: Names it in lists and messages.
        secret: 256 random bits, as hexadecimal digits; never in a message.
    """

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """What is sent: `l4_<id>_<secret>`."""
        return f"l4_{self.id}_{self.secret}"

    @property
    def digest(self) -> str:
        """SHA-256 of the secret: nobody guesses 256 random bits, so that a slow hash as for passwords adds nothing."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ApiKeyRow:
    """An API key as the database holds it, but for the digest of its secret.

    Args:
        id: The public part of it.
        name: Of its holder.
        role: What its holder may do.
        created_at: When it was made (UTC).
        revoked_at: Since when it is worth nothing; None where it is worth something.
    """

    id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None


def new_key() -> ApiKey:
    """Return a key that nobody has."""
    return ApiKey(id=secrets.token_hex(_ID_BYTES), secret=secrets.token_hex(_SECRET_BYTES))


def parse_key(text: str) -> ApiKey | None:
    """Return the key that a text is, None where it has not the form of one.

    Args:
        text: As it was sent.
    """
    match = _KEY.fullmatch(text)
    return None if match is None else ApiKey(id=match[1], secret=match[2])
