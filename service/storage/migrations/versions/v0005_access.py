"""API keys, and idempotency keys per owner."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NAME = sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql")


def upgrade() -> None:
    """Create and change the tables; existing idempotency keys have no owner."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    # the table is replaced: SQLite cannot change a primary key
    rows = op.get_bind().execute(sa.text("SELECT '' AS owner, key, digest, study FROM requests")).mappings().all()
    op.drop_table("requests")
    requests = op.create_table(
        "requests",
        sa.Column("owner", _NAME, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("study", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["studies.id"]),
        sa.PrimaryKeyConstraint("owner", "key"),
    )
    op.bulk_insert(requests, [dict(row) for row in rows])
