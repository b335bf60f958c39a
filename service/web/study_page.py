"""The data of a study's page."""

from dataclasses import dataclass
from datetime import datetime

from service.api.presenters import mlflow_links
from service.api.presenters.study import present_study
from service.schemas.studies import StudyResponse
from service.settings import Settings
from service.states import ENDED, State
from service.storage.entities import Caller, Event, StudyRow
from service.storage.repositories.studies import Store
from service.storage.repositories.time_budget import read_elapsed
from service.web.actions import Action, available_actions
from studies.formatting import duration
from studies.spec.parameters import Stage


@dataclass(frozen=True, kw_only=True)
class MlflowChart:
    """A link to a chart of runs in MLflow.

    Args:
        workload: The workload's name within the study.
        stage: The stage of the runs.
        url: Its URL.
    """

    workload: str
    stage: Stage
    url: str


@dataclass(frozen=True, kw_only=True)
class StudyPageContext:
    """The template context of a study's page.

    Args:
        study: The API's response.
        actions: The actions that the caller can take.
        events: Its events, the latest first.
        ended: Whether the study has ended.
        elapsed: How long it has run, as text; empty if it never ran.
        left: The estimated remaining time, as text; empty if unknown.
        charts: Charts of its runs in MLflow; none before MLflow has the study.
    """

    study: StudyResponse
    actions: tuple[Action, ...]
    events: tuple[Event, ...]
    ended: bool
    elapsed: str
    left: str
    charts: tuple[MlflowChart, ...]


def build_study_page(
    row: StudyRow, caller: Caller, store: Store, settings: Settings, now: datetime
) -> StudyPageContext:
    """Return the template context of a study's page.

    Args:
        row: The study.
        caller: The caller.
        store: The database.
        settings: The deployment's settings.
        now: The present time.
    """
    study = present_study(row, store, settings)
    with store.reading() as connection:
        elapsed = read_elapsed(connection, row.id, now)
    return StudyPageContext(
        study=study,
        actions=available_actions(row, caller),
        events=store.events(row.id)[::-1],
        ended=row.state in ENDED,
        elapsed=duration(elapsed) if elapsed > 0 else "",
        left=_remaining_time(study, elapsed),
        charts=() if row.mlflow_experiment is None else _mlflow_charts(study, settings, row.mlflow_experiment),
    )


def _remaining_time(study: StudyResponse, elapsed: float) -> str:
    """Return the estimated remaining time, assuming the other runs take as long as the completed ones."""
    done, total = study.progress.done, study.progress.total
    if study.state is not State.RUNNING or done == 0 or done == total:
        return ""
    seconds = elapsed * (total - done) / done
    return "less than a minute" if seconds < 60 else f"about {duration(seconds)}"


def _mlflow_charts(study: StudyResponse, settings: Settings, experiment: str) -> tuple[MlflowChart, ...]:
    return tuple(
        MlflowChart(
            workload=workload.name,
            stage=stage,
            url=mlflow_links.charts_url(settings, experiment, workload.name, stage),
        )
        for workload in study.spec.workloads
        for stage in (Stage.CONFIRM, Stage.SEARCH)
    )
