"""Signatures of webhook messages, as specified by Standard Webhooks (standardwebhooks.com)."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a new secret, shared by a webhook and its receiver."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature_headers(secret: str, message_id: str, content: bytes, now: datetime) -> dict[str, str]:
    """Return a message's headers with its signature.

    Args:
        secret: From `new_secret`.
        message_id: The message's id, the same at every attempt.
        content: The body.
        now: The present time; receivers reject old timestamps.
    """
    timestamp = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = hmac.digest(key, b".".join((message_id.encode(), timestamp.encode(), content)), hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
