"""What a study was estimated to take when it started, and which budget of time it reached."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add both to studies."""
    op.add_column("studies", sa.Column("estimate", sa.Text(), nullable=True))
    op.add_column("studies", sa.Column("reached", sa.String(length=16), nullable=True))
