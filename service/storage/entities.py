"""Value types of the storage: studies, runs, events, claims, callers, webhooks and pages; ids."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from service.roles import Role
from service.states import State
from studies.records.rows import Run
from studies.spec.study import StudySpec

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list.

    Args:
        items: At most the requested number.
        next_cursor: Cursor of the next page; None on the last one.
    """

    items: tuple[Item, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class StudySummaryRow:
    """A study as lists show it; fields as in `StudyRow`."""

    id: str
    name: str
    owner: str | None
    priority: int
    spec_hash: str
    state: State
    reason: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    archived_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """A study as the database holds it.

    Args:
        id: Sorts by the time of creation.
        name: The spec's.
        owner: Name of the API key that it was posted with; None where it was posted without one.
        priority: Higher priorities are claimed first.
        spec: Complete.
        spec_hash: SHA-256 of the spec without the name.
        state: The current state.
        reason: Why it is in that state; may be empty.
        created_at: When it was added (UTC).
        started_at: When it was first claimed.
        ended_at: When it ended; None again once it is retried.
        archived_at: When it was archived; None if it is not.
        waiting_for: What its next pack waits for; None if it does not wait for long.
        lease_expires_at: When its driver's lease expires; None without a driver.
        attempt: Number of claims so far.
        environment: Versions and hardware, as its driver recorded them; None before.
        mlflow_experiment: Id of its MLflow experiment; None before there is one.
        mlflow_lacks: Number of its recorded runs that were deleted or altered in MLflow.
    """

    id: str
    name: str
    owner: str | None
    priority: int
    spec: StudySpec
    spec_hash: str
    state: State
    reason: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    archived_at: datetime | None
    waiting_for: str | None
    lease_expires_at: datetime | None
    attempt: int
    environment: Mapping[str, object] | None
    mlflow_experiment: str | None
    mlflow_lacks: int


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """The idempotency key of a submission.

    Args:
        key: Chosen by the client.
        digest: SHA-256 of the request body.
    """

    key: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The sender of a request.

    Args:
        key_id: Id of the API key; None without access control.
        name: Name of the key, and owner of what is posted with it; None without access control.
        role: The caller's permissions.
    """

    key_id: str | None
    name: str | None
    role: Role


@dataclass(frozen=True, kw_only=True)
class Event:
    """A state change of a study.

    Args:
        id: Later ones are larger.
        at: When (UTC).
        state: The new state.
        reason: Why; may be empty.
    """

    id: int
    at: datetime
    state: State
    reason: str


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run with the setting of its trial.

    Args:
        run: The run, without series.
        setting: Every hyperparameter by name.
    """

    run: Run
    setting: Mapping[str, float]

    @property
    def id(self) -> str:
        """The run's id within its study."""
        return format_run_id(self.run.pack, self.run.lane)


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A subscription to state changes.

    Args:
        id: Sorts by the time of creation.
        url: Where messages are posted.
        states: States that are sent; all if empty.
        secret: Key of the message signatures.
        created_at: When it was added (UTC).
        pending_deliveries: Messages not delivered yet.
        failing_since: Time of the first failure since the last success; None after a success.
        last_error: Why the last delivery failed; empty after a success.
        dropped_deliveries: Messages given up after too many failures.
    """

    id: str
    url: str
    states: tuple[State, ...]
    secret: str
    created_at: datetime
    pending_deliveries: int
    failing_since: datetime | None
    last_error: str
    dropped_deliveries: int


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A runner's exclusive right to a study, valid while its lease is renewed.

    Args:
        study_id: The study.
        token: Secret of this claim; every write is checked against it.
        attempt: Number of claims so far, this one included.
    """

    study_id: str
    token: str
    attempt: int


def format_run_id(pack: int, lane: int) -> str:
    """Return the id of a run within its study, from its pack and lane."""
    return f"{pack}-{lane}"


_ID = re.compile(r"[0-9a-f]{20}")


def new_id(now: datetime) -> str:
    """Return an id that sorts by time, as UUID version 7: microseconds (14 hex digits), then 24 random bits.

    Args:
        now: The present time.
    """
    return f"{int(now.timestamp() * 1e6):014x}{secrets.token_hex(3)}"


def is_valid_id(text: str) -> bool:
    """Return whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None
