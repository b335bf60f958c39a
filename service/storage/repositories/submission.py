"""Submission of studies, idempotent with an idempotency key."""

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
    """Add a study to the queue and return its id, or that of the earlier study with the same idempotency key.

    Args:
        connection: In a write transaction.
        spec: Complete.
        now: The time of creation.
        key: Its idempotency key, if any.
        owner: Name of the API key that it was posted with, if any.
        priority: Higher priorities are claimed first.
        reason: Why it was added; empty if it was posted.

    Raises:
        KeyReusedError: The key was used with another body or priority.
        IntegrityError: A concurrent transaction used the same key.
    """
    existing_id = None if key is None else find_by_idempotency_key(connection, key, owner, priority)
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


def find_by_idempotency_key(
    connection: Connection, key: IdempotencyKey, owner: str | None, priority: int
) -> str | None:
    """Return the id of the study that an owner posted with an idempotency key, None if there is none.

    Args:
        connection: In a transaction.
        key: The key and the digest of the present request body.
        owner: The owner of the present request; each owner has separate keys.
        priority: The priority of the present request.

    Raises:
        KeyReusedError: The key was used with another body or priority.
    """
    same_key = (requests.c.owner == (owner or ""), requests.c.key == key.key)
    query = select(requests, studies.c.priority).join(studies, studies.c.id == requests.c.study)
    request = connection.execute(query.where(*same_key)).one_or_none()
    if request is None:
        return None
    if request.digest != key.digest:
        raise KeyReusedError(
            f"the key {quote_value(key.key)} came with another study before, {request.study}; "
            "give every study a key of its own"
        )
    if request.priority != priority:
        raise KeyReusedError(
            f"the key {quote_value(key.key)} came with the priority {request.priority} before, "
            f"for study {request.study}, and with {priority} now; post it as before, or with a key of its own"
        )
    return str(request.study)
