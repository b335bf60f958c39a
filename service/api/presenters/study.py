"""Response models of a study: summary, complete study, and progress."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from service.api.presenters import mlflow_links
from service.api.presenters.conditions import conditions
from service.schemas.studies import (
    ArmProgressResponse,
    BestResponse,
    Links,
    ProgressResponse,
    StudyResponse,
    StudySummary,
)
from service.settings import Settings
from service.states import State
from service.storage.entities import StudyRow, StudySummaryRow
from service.storage.lifecycle.queue import QueuedStudy
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.planning.progress import Progress
from studies.search import budget
from studies.search.selection import Score


def present_summary(row: StudySummaryRow | StudyRow) -> StudySummary:
    """Return the summary of a study for lists.

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


def present_study(row: StudyRow, store: Store, settings: Settings) -> StudyResponse:
    """Return a study with its spec, progress and links.

    Args:
        row: The study.
        store: The database.
        settings: The deployment's settings.
    """
    progress = store.progress(row)
    now = datetime.now(UTC)
    ahead = _count_ahead(row, store.queue(now)) if row.state is State.QUEUED else 0
    path = f"/studies/{row.id}"
    has_report = bool(store.report_files(row.id))
    return StudyResponse(
        **present_summary(row).model_dump(),
        spec=row.spec,
        warnings=(*row.spec.warnings(), *budget.warnings(row.spec)),
        conditions=conditions(row, progress.searches, ahead, now, Runners(store).unusable_machines(now)),
        progress=present_progress(progress),
        links=Links(
            self=path,
            page=f"/pages{path}",
            runs=f"{path}/runs",
            events=f"{path}/events",
            report=f"{path}/report" if has_report else None,
            mlflow=None
            if row.mlflow_experiment is None
            else mlflow_links.experiment_url(settings, row.mlflow_experiment),
        ),
    )


def _count_ahead(row: StudyRow, waiting: Sequence[QueuedStudy]) -> int:
    """Return how many studies are ahead in the queue; 0 if the study was claimed meanwhile."""
    return next((position for position, study in enumerate(waiting) if study.id == row.id), 0)


def present_progress(progress: Progress) -> ProgressResponse:
    """Return the progress of a study.

    Args:
        progress: The progress, computed from the rows.
    """
    return ProgressResponse(
        done=progress.done,
        total=progress.total,
        arms=tuple(
            ArmProgressResponse(
                workload=workload,
                arm=arm,
                done=arm_progress.done,
                total=arm_progress.total,
                trials_done=arm_progress.search.trials_done,
                trials_total=arm_progress.search.trials,
                best=None if arm_progress.search.best is None else _present_best(arm_progress.search.best),
            )
            for (workload, arm), arm_progress in progress.arms.items()
        ),
    )


def _present_best(best: Score) -> BestResponse:
    return BestResponse(
        trial=best.trial.number,
        score=best.value if math.isfinite(best.value) else None,
        setting=dict(best.trial.setting),
    )
