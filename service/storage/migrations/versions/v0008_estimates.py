"""A study's estimate, and the budget that ended its searches."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("studies", sa.Column("estimate", sa.Text(), nullable=True))
    op.add_column("studies", sa.Column("reached", sa.String(length=16), nullable=True))
