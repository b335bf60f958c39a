"""The number of failed attempts of a study, which limits its retries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("studies", sa.Column("fruitless", sa.Integer(), nullable=False, server_default="0"))
