"""Webhooks and their deliveries, counts of finished runs, and an index of runs not recorded in MLflow."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables, count the existing runs, and replace the index of all runs by one of untracked runs."""
    op.create_table(
        "tallies",
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("outcome"),
    )
    op.execute("INSERT INTO tallies (outcome, runs) SELECT outcome, count(*) FROM runs GROUP BY outcome")
    op.drop_index("runs_by_tracked", "runs")
    op.create_index(
        "runs_untracked",
        "runs",
        ["study", "pack", "lane"],
        sqlite_where=sa.text("tracked IS 0"),
        postgresql_where=sa.text("tracked IS false"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("states", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(), nullable=True),
        sa.Column("failing_since", sa.DateTime(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("taken_until", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("webhook", sa.String(length=20), nullable=False),
        sa.Column("message", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("deliveries_by_webhook", "deliveries", ["webhook", "id"])
