"""A study's owner and priority, and what its next pack waits for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns, and an index by owner."""
    name = sa.String(100).with_variant(sa.String(100, collation="C"), "postgresql")
    op.add_column("studies", sa.Column("owner", name, nullable=True))
    op.add_column("studies", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("studies", sa.Column("waiting", sa.Text(), nullable=True))
    op.create_index("studies_by_owner", "studies", ["owner", "started_at"])
