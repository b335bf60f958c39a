"""What the store answers with: studies, runs with their settings, pages, claims."""

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
    """Some items of a long list.

    Args:
        items: At most as many as asked for.
        next_cursor: Leads to the next page; None on the last.
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
        priority: The higher the sooner it is taken up.
        spec: Complete.
        spec_hash: SHA-256 of the spec without the name.
        state: Where it is.
        reason: Why it is there; empty where there is nothing to say.
        created_at: When it was added (UTC).
        started_at: When it was first claimed.
        ended_at: When it ended; None again once it is retried.
        archived_at: When it was put out of the lists; None where it was not.
        waiting_for: What its next pack waits for; None where none waits for long.
        lease_expires_at: When its driver's claim runs out; None where no driver has it.
        attempt: How often it was claimed.
        environment: What it runs on, as its driver recorded it; None before.
        mlflow_experiment: Id of its MLflow experiment; None before there is one.
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


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """A key that a client gave with a study.

    Args:
        key: Of the client's choice.
        digest: SHA-256 of the body that came with it.
    """

    key: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sends a request.

    Args:
        key_id: Of the API key; None where none is needed.
        name: The key's, which is the owner of what is posted with it; None where none is needed.
        role: What the caller may do.
    """

    key_id: str | None
    name: str | None
    role: Role


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a study.

    Args:
        id: Later ones are larger.
        at: When (UTC).
        state: Where the study was from then on.
        reason: Why, in plain words; empty where there is nothing to say.
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
    """Who is told of new states.

    Args:
        id: Sorts by the time of creation.
        url: Where to.
        states: Of which it is told; all where empty.
        secret: What it is told is signed with.
        created_at: When it was added (UTC).
        pending_deliveries: How much it is still to be told.
        failing_since: When it first did not take what is sent again since; None where all is well.
        last_error: Why it did not take it, in words; empty where all is well.
        dropped_deliveries: How much it was never told, since it did not take it for too long.
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
    """The right to drive a study, as long as its lease is renewed.

    Args:
        study_id: The study.
        token: Proves the right; a new one for every claim.
        attempt: How often the study was claimed, this time included.
    """

    study_id: str
    token: str
    attempt: int


def format_run_id(pack: int, lane: int) -> str:
    """Return the id of a run within its study, from its place."""
    return f"{pack}-{lane}"


_ID = re.compile(r"[0-9a-f]{20}")


def new_id(now: datetime) -> str:
    """Return an id that sorts by its time: as in UUID version 7, microseconds first (14 digits), then 24 random bits.

    Args:
        now: The present time.
    """
    return f"{int(now.timestamp() * 1e6):014x}{secrets.token_hex(3)}"


def is_valid_id(text: str) -> bool:
    """Say whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None
