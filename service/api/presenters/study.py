"""Studies as the HTTP service answers with them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from service import mlflow_links
from service.conditions import conditions
from service.entities import StudyHead, StudyRow
from service.progress import progress_answer
from service.queue import Waiting
from service.schemas import Links, StudyAnswer, StudySummary
from service.settings import Settings
from service.states import State
from service.store import Store
from studies import budget


def summary(row: StudyHead | StudyRow) -> StudySummary:
    """Return a study as lists show it.

    Args:
        row: The study.
    """
    return StudySummary(
        id=row.id,
        name=row.name,
        owner=row.owner,
        priority=row.priority,
        state=row.state,
        reason=row.reason,
        spec_hash=row.spec_hash,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        archived_at=row.archived_at,
    )


def answer(row: StudyRow, store: Store, settings: Settings) -> StudyAnswer:
    """Return a study with its spec, progress and links.

    Args:
        row: The study.
        store: The database.
        settings: The deployment's.
    """
    found = store.progress(row)
    now = datetime.now(UTC)
    ahead = _ahead(row, store.queue(now)) if row.state is State.QUEUED else 0
    path = f"/studies/{row.id}"
    has_report = bool(store.report_files(row.id))
    return StudyAnswer(
        **summary(row).model_dump(),
        spec=row.spec,
        warnings=(*row.spec.warnings(), *budget.warnings(row.spec)),
        conditions=conditions(row, found.searches, ahead, now),
        progress=progress_answer(found),
        links=Links(
            self=path,
            page=f"/pages{path}",
            runs=f"{path}/runs",
            events=f"{path}/events",
            report=f"{path}/report" if has_report else None,
            mlflow=None if row.experiment is None else mlflow_links.experiment(settings, row.experiment),
        ),
    )


def _ahead(row: StudyRow, waiting: Sequence[Waiting]) -> int:
    """Return how many studies will be taken up before one; 0 where it was taken up meanwhile."""
    return next((place for place, study in enumerate(waiting) if study.id == row.id), 0)
