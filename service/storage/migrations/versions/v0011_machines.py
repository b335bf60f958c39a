"""What runners say of the machines that they train on."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column."""
    op.add_column("runners", sa.Column("cluster", sa.Text(), nullable=True))
