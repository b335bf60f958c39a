"""The MLflow experiments of deleted studies, by id, and how many of a study's runs MLflow lacks."""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_LOG = logging.getLogger(__name__)


def upgrade() -> None:
    """Replace the flag of pending deletions by the id of the experiment; add the count of runs that MLflow lacks."""
    unknown = sa.text("SELECT study FROM deletions WHERE mlflow ORDER BY study")
    for study_id in op.get_bind().execute(unknown).scalars():
        _LOG.warning(
            "the MLflow experiment of the deleted study %s is left: it was noted without the experiment's id; an admin "
            "deletes it in MLflow, whose experiment's name ends with the study's id",
            study_id,
        )
    op.add_column("deletions", sa.Column("mlflow_experiment", sa.String(length=64), nullable=True))
    op.drop_column("deletions", "mlflow")
    op.add_column("studies", sa.Column("mlflow_lacks", sa.Integer(), nullable=False, server_default="0"))
