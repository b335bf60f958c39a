"""A look at a study: what its page shows of it at a moment."""

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
class Chart:
    """A view of MLflow's in which runs are drawn side by side.

    Args:
        workload: The workload's name within the study.
        stage: Of the runs.
        url: Where it is.
    """

    workload: str
    stage: Stage
    url: str


@dataclass(frozen=True, kw_only=True)
class StudyPageContext:
    """What a study's page shows at a moment.

    Args:
        study: As the API answers with it.
        actions: What its reader can ask of it.
        events: What happened to it, the last first.
        ended: Whether nothing goes on.
        elapsed: For how long it has been running, in words; empty where it never was.
        left: How long it takes from now, in words; empty where that is not known.
        charts: Where MLflow has its runs; none before it has any.
    """

    study: StudyResponse
    actions: tuple[Action, ...]
    events: tuple[Event, ...]
    ended: bool
    elapsed: str
    left: str
    charts: tuple[Chart, ...]


def build_study_page(
    row: StudyRow, caller: Caller, store: Store, settings: Settings, now: datetime
) -> StudyPageContext:
    """Return a look at a study.

    Args:
        row: The study.
        caller: Who looks.
        store: The database.
        settings: The deployment's.
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
        left=_left(study, elapsed),
        charts=() if row.experiment is None else _charts(study, settings, row.experiment),
    )


def _left(study: StudyResponse, elapsed: float) -> str:
    """Return about how long the rest takes, if its runs take as long as those that are done."""
    done, total = study.progress.done, study.progress.total
    if study.state is not State.RUNNING or done == 0 or done == total:
        return ""
    seconds = elapsed * (total - done) / done
    return "less than a minute" if seconds < 60 else f"about {duration(seconds)}"


def _charts(study: StudyResponse, settings: Settings, experiment: str) -> tuple[Chart, ...]:
    return tuple(
        Chart(
            workload=workload.name,
            stage=stage,
            url=mlflow_links.charts_url(settings, experiment, workload.name, stage),
        )
        for workload in study.spec.workloads
        for stage in (Stage.CONFIRM, Stage.SEARCH)
    )
