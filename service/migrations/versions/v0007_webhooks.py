"""A tally of the runs that were ever done, and an index of those that MLflow does not have yet."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0003"


def upgrade() -> None:
    """Count the runs that there are, and index those that are not tracked in place of all."""
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
