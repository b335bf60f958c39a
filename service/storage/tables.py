"""Table definitions, with column types that both SQLite and PostgreSQL support."""

import math
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Named,
    String,
    Table,
    Text,
    TypedColumns,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class UtcTime(TypeDecorator[datetime]):
    """A time with zone, stored as UTC without zone because SQLite has no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC and drop the zone."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the UTC zone."""
        return None if value is None else value.replace(tzinfo=UTC)


class Measured(TypeDecorator[float]):
    """A number that may be infinite or NaN; NaN is stored as NULL, because SQLite does so."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """Write NaN as NULL in every database."""
        return None if value is None or math.isnan(value) else value

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:
        """Read NULL as NaN."""
        return math.nan if value is None else value


#: Sorts by bytes, in every database as in Python.
_NAME = String(100).with_variant(String(100, collation="C"), "postgresql")
_ID = String(20)

metadata = MetaData()


class _StudyColumns(TypedColumns):
    id: Named[str] = Column(_ID, primary_key=True)
    name: Named[str] = Column(_NAME)
    owner: Named[str | None] = Column(_NAME)
    spec: Named[str] = Column(Text)
    spec_hash: Named[str] = Column(String(64))
    state: Named[str] = Column(String(16))
    reason: Named[str] = Column(Text)
    created_at: Named[datetime] = Column(UtcTime)
    started_at: Named[datetime | None] = Column(UtcTime)
    ended_at: Named[datetime | None] = Column(UtcTime)
    archived_at: Named[datetime | None] = Column(UtcTime)
    lease_token: Named[str | None] = Column(String(32))
    lease_expires_at: Named[datetime | None] = Column(UtcTime)
    attempt: Named[int]
    failed_attempts: Named[int] = Column("fruitless", Integer, server_default="0")
    priority: Named[int] = Column(Integer, server_default="0")
    waiting: Named[str | None] = Column(Text)
    environment: Named[str | None] = Column(Text)
    mlflow_experiment: Named[str | None] = Column(String(64))
    mlflow_lacks: Named[int] = Column(Integer, server_default="0")
    estimate: Named[str | None] = Column(Text)
    reached: Named[str | None] = Column(String(16))


class _KeyColumns(TypedColumns):
    id: Named[str] = Column(String(12), primary_key=True)
    name: Named[str] = Column(_NAME)
    role: Named[str] = Column(String(16))
    digest: Named[str] = Column(String(64))
    created_at: Named[datetime] = Column(UtcTime)
    revoked_at: Named[datetime | None] = Column(UtcTime)


class _SessionColumns(TypedColumns):
    digest: Named[str] = Column(String(64), primary_key=True)
    key: Named[str] = Column(String(12), ForeignKey("api_keys.id"))
    created_at: Named[datetime] = Column(UtcTime)
    expires_at: Named[datetime] = Column(UtcTime)


class _RequestColumns(TypedColumns):
    owner: Named[str] = Column(_NAME, primary_key=True)
    key: Named[str] = Column(String(255), primary_key=True)
    digest: Named[str] = Column(String(64))
    study: Named[str] = Column(_ID, ForeignKey("studies.id"), index=True)


class _TrialColumns(TypedColumns):
    study: Named[str] = Column(_ID, ForeignKey("studies.id"), primary_key=True)
    workload: Named[str] = Column(_NAME, primary_key=True)
    arm: Named[str] = Column(_NAME, primary_key=True)
    number: Named[int] = Column(Integer, primary_key=True)
    batch: Named[int]
    setting: Named[str] = Column(Text)


class _PackColumns(TypedColumns):
    study: Named[str] = Column(_ID, ForeignKey("studies.id"), primary_key=True)
    number: Named[int] = Column(Integer, primary_key=True)
    workload: Named[str] = Column(_NAME)
    arm: Named[str] = Column(_NAME)
    stage: Named[str] = Column(String(16))
    batch: Named[int]
    lanes: Named[str] = Column(Text)
    threads: Named[int]
    mode: Named[str] = Column(String(16))
    width: Named[int | None]
    done: Named[bool]
    seconds: Named[float | None]
    host: Named[str] = Column(Text)


class _RunColumns(TypedColumns):
    study: Named[str] = Column(_ID, primary_key=True)
    pack: Named[int] = Column(Integer, primary_key=True)
    lane: Named[int] = Column(Integer, primary_key=True)
    workload: Named[str] = Column(_NAME)
    arm: Named[str] = Column(_NAME)
    stage: Named[str] = Column(String(16))
    trial: Named[int]
    seed: Named[int]
    outcome: Named[str] = Column(String(16))
    steps: Named[int]
    start_loss: Named[float] = Column(Measured, nullable=True)
    train_loss: Named[float] = Column(Measured, nullable=True)
    metrics: Named[str] = Column(Text)
    rungs: Named[str] = Column(Text)
    tracked: Named[bool]


class _TallyColumns(TypedColumns):
    outcome: Named[str] = Column(String(16), primary_key=True)
    runs: Named[int]


class _SeriesColumns(TypedColumns):
    study: Named[str] = Column(_ID, primary_key=True)
    pack: Named[int] = Column(Integer, primary_key=True)
    lane: Named[int] = Column(Integer, primary_key=True)
    position: Named[int] = Column(Integer, primary_key=True)
    name: Named[str] = Column(_NAME)
    steps: Named[bytes] = Column(LargeBinary)
    points: Named[bytes] = Column(LargeBinary)


class _ReportColumns(TypedColumns):
    study: Named[str] = Column(_ID, ForeignKey("studies.id"), primary_key=True)
    file: Named[str] = Column(_NAME, primary_key=True)
    content: Named[bytes] = Column(LargeBinary)


class _RecordingColumns(TypedColumns):
    study: Named[str] = Column(_ID, ForeignKey("studies.id"), primary_key=True)
    at: Named[datetime] = Column(UtcTime)


class _DeletionColumns(TypedColumns):
    study: Named[str] = Column(_ID, primary_key=True)
    at: Named[datetime] = Column(UtcTime)
    mlflow_experiment: Named[str | None] = Column(String(64))


class _CatalogueColumns(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    content: Named[str] = Column(Text)


class _RunnerColumns(TypedColumns):
    id: Named[str] = Column(String(32), primary_key=True)
    expires_at: Named[datetime] = Column(UtcTime)
    cluster: Named[str | None] = Column(Text)


class _SpeedColumns(TypedColumns):
    subject: Named[str] = Column(String(64), primary_key=True)
    lanes: Named[int] = Column(Integer, primary_key=True)
    mode: Named[str] = Column(String(16), primary_key=True)
    seconds: Named[float]
    making: Named[float]
    about: Named[str] = Column(Text)


class _EventColumns(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    study: Named[str] = Column(_ID, ForeignKey("studies.id"), index=True)
    at: Named[datetime] = Column(UtcTime)
    kind: Named[str] = Column(String(32))
    message: Named[str] = Column(Text)


class _WebhookColumns(TypedColumns):
    id: Named[str] = Column(_ID, primary_key=True)
    url: Named[str] = Column(Text)
    states: Named[str] = Column(Text)
    secret: Named[str] = Column(String(64))
    created_at: Named[datetime] = Column(UtcTime)
    tries: Named[int]
    retry_at: Named[datetime | None] = Column(UtcTime)
    failing_since: Named[datetime | None] = Column(UtcTime)
    trouble: Named[str] = Column(Text)
    dropped: Named[int]
    taken_until: Named[datetime | None] = Column(UtcTime)


class _DeliveryColumns(TypedColumns):
    id: Named[int] = Column(Integer, primary_key=True)
    webhook: Named[str] = Column(_ID)
    message: Named[str] = Column(String(64))
    content: Named[bytes] = Column(LargeBinary)
    at: Named[datetime] = Column(UtcTime)


studies = Table(
    "studies",
    metadata,
    _StudyColumns,
    Index("studies_by_state", "state", "id"),
    Index("studies_by_owner", "owner", "started_at"),
)

#: API keys. Only a digest of the secret is stored, so that a leaked database contains no usable key.
api_keys = Table("api_keys", metadata, _KeyColumns)

#: Browser sessions. Only a digest of the token is stored.
sessions = Table("sessions", metadata, _SessionColumns)

#: Idempotency keys of posted studies, unique per owner. The owner is empty without access control.
requests = Table("requests", metadata, _RequestColumns)

trials = Table("trials", metadata, _TrialColumns)

packs = Table("packs", metadata, _PackColumns)

runs = Table(
    "runs",
    metadata,
    _RunColumns,
    ForeignKeyConstraint(["study", "pack"], ["packs.study", "packs.number"]),
    UniqueConstraint("study", "workload", "arm", "stage", "trial", "seed"),
    # partial index of the runs not recorded in MLflow yet, usually few
    Index(
        "runs_untracked",
        "study",
        "pack",
        "lane",
        sqlite_where=text("tracked IS 0"),
        postgresql_where=text("tracked IS false"),
    ),
)

#: Number of runs ever finished, including those of deleted studies.
tallies = Table("tallies", metadata, _TallyColumns)

#: Steps, and points (the values at the steps), are packed little-endian, 64 bits each (see `service.storage.mappers`).
series = Table(
    "series",
    metadata,
    _SeriesColumns,
    ForeignKeyConstraint(["study", "pack", "lane"], ["runs.study", "runs.pack", "runs.lane"]),
)

reports = Table("reports", metadata, _ReportColumns)

#: Ended studies that are completely recorded in MLflow.
recordings = Table("recordings", metadata, _RecordingColumns)

#: Pending deletions: deleted studies whose files or MLflow experiment may remain.
deletions = Table("deletions", metadata, _DeletionColumns)

#: At most one row: the catalogue that a runner published last.
catalogue = Table("catalogue", metadata, _CatalogueColumns)

#: Active runners, each with a `ClusterState`, NULL if it is unknown; a runner whose row expired has stopped.
runners = Table("runners", metadata, _RunnerColumns)

#: Measured speeds of packs; `subject` is the SHA-256 of `about`, the subject's key.
speeds = Table("speeds", metadata, _SpeedColumns)

#: State changes of studies, append-only; `kind` is the new state.
events = Table("events", metadata, _EventColumns)

#: Webhook subscriptions; `tries`, `retry_at`, `failing_since` and `trouble` concern the oldest pending delivery,
#: `taken_until` is the dispatcher's lease.
webhooks = Table("webhooks", metadata, _WebhookColumns)

#: Pending webhook messages. No foreign key: a webhook may be removed while a study's state changes.
deliveries = Table("deliveries", metadata, _DeliveryColumns, Index("deliveries_by_webhook", "webhook", "id"))
