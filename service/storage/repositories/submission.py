"""Adding studies: each once, however often a client that gave a key with it asks."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from service.errors import KeyReusedError, quote_value
from service.states import State
from service.storage.entities import IdempotencyKey, new_id
from service.storage.lifecycle.transitions import record_event
from service.storage.tables import requests, studies
from studies.spec.study import StudySpec


def insert_study(
    connection: Connection,
    spec: StudySpec,
    now: datetime,
    key: IdempotencyKey | None,
    *,
    owner: str | None,
    priority: int,
    reason: str,
) -> str:
    """Add a study to the queue, and return its id; that of the earlier one where the key came before.

    Args:
        connection: In a transaction that writes.
        spec: Complete.
        now: The time of creation.
        key: What its client gave with it, if anything.
        owner: Name of the API key that it was posted with, if any.
        priority: The higher the sooner it is taken up.
        reason: Why it is there, in plain words; empty where it was posted.

    Raises:
        KeyReusedError: The key came with another body before.
        IntegrityError: It came in a transaction that goes on beside this one.
    """
    existing_id = None if key is None else find_by_idempotency_key(connection, key, owner)
    if existing_id is not None:
        return existing_id
    study_id = new_id(now)
    connection.execute(
        insert(studies).values(
            id=study_id,
            name=spec.name,
            owner=owner,
            priority=priority,
            spec=spec.model_dump_json(),
            spec_hash=spec.content_hash,
            state=State.QUEUED.value,
            reason=reason,
            created_at=now,
            attempt=0,
        )
    )
    record_event(connection, study_id, State.QUEUED, reason, now)
    if key is not None:
        connection.execute(insert(requests).values(owner=owner or "", key=key.key, digest=key.digest, study=study_id))
    return study_id


def find_by_idempotency_key(connection: Connection, key: IdempotencyKey, owner: str | None) -> str | None:
    """Return the id of the study that an owner posted with a key, None where there is none.

    Args:
        connection: In a transaction.
        key: The key with the body that it came with now.
        owner: Who posts it now; keys of others are not looked at.

    Raises:
        KeyReusedError: It came with another body before.
    """
    same_key = (requests.c.owner == (owner or ""), requests.c.key == key.key)
    request = connection.execute(select(requests).where(*same_key)).one_or_none()
    if request is None:
        return None
    if request.digest != key.digest:
        raise KeyReusedError(
            f"the key {quote_value(key.key)} came with another study before, {request.study}; "
            "give every study a key of its own"
        )
    return str(request.study)
