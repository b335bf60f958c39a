"""Archived studies and pending deletions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the time of archiving, the table of pending deletions, and an index of idempotency keys by study."""
    op.add_column("studies", sa.Column("archived_at", sa.DateTime(), nullable=True))
    op.create_index("ix_requests_study", "requests", ["study"], unique=False)
    op.create_table(
        "deletions",
        sa.Column("study", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("mlflow", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("study"),
    )
