"""How often a study was taken up without a pack being trained, so that one that ends its drivers ends itself."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the count."""
    op.add_column("studies", sa.Column("fruitless", sa.Integer(), nullable=False, server_default="0"))
