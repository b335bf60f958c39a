"""Response models of studies, runs, the queue, the catalogue, the caller and health."""

from datetime import datetime
from enum import StrEnum

from service.roles import Role
from service.schemas.problems import Problem, ResponseModel
from service.states import State
from studies.planning.estimate import Estimate
from studies.records.rows import Outcome
from studies.spec.parameters import Direction, Metric, Option, Stage
from studies.spec.study import StudySpec


class BestResponse(ResponseModel):
    """The best trial of an arm's search so far.

    Args:
        trial: Its number.
        score: Its score; None if it diverged, as then all others did.
        setting: Every hyperparameter.
    """

    trial: int
    score: float | None
    setting: dict[str, float]


class ArmProgressResponse(ResponseModel):
    """The progress of an arm on a workload.

    Args:
        workload: The workload's name within the study.
        arm: The arm's name.
        done: Completed runs.
        total: Expected runs; a range extension adds some.
        trials_done: Trials of its search that have a score.
        trials_total: Trials of its search; 1 if it is fixed.
        best: The best trial so far, None if there is none yet.
    """

    workload: str
    arm: str
    done: int
    total: int
    trials_done: int
    trials_total: int
    best: BestResponse | None


class ProgressResponse(ResponseModel):
    """The progress of a study.

    Args:
        done: Completed runs.
        total: Expected runs; a range extension adds some.
        arms: The progress of each workload and arm, in the spec's order.
    """

    done: int
    total: int
    arms: tuple[ArmProgressResponse, ...]


class Links(ResponseModel):
    """Links of a study.

    Args:
        self: The study.
        page: Its page for browsers.
        runs: Its runs.
        events: Its events, as server-sent events.
        report: Its report, None until there is one.
        mlflow: Its experiment in MLflow's UI, None until there is one.
    """

    self: str
    page: str
    runs: str
    events: str
    report: str | None
    mlflow: str | None


class StudySummary(ResponseModel):
    """A study in a list.

    Args:
        id: Its id.
        name: Its name.
        owner: Name of the API key it was submitted with; None if none was needed.
        priority: Studies of higher priority are claimed first.
        state: Its state.
        reason: The reason of its state; may be empty.
        spec_hash: SHA-256 of the spec without the name.
        created_at: When it was submitted (UTC).
        started_at: When a runner first claimed it.
        ended_at: When it ended.
        archived_at: When it was archived; None if it was not.
    """

    id: str
    name: str
    owner: str | None
    priority: int
    state: State
    reason: str
    spec_hash: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    archived_at: datetime | None


class StudyResponse(StudySummary):
    """A study with its spec, progress and links.

    Args:
        spec: The complete spec.
        warnings: Warnings about the spec.
        conditions: Sentences that explain its state and its searches.
        progress: Its progress.
        links: Its links.
    """

    spec: StudySpec
    warnings: tuple[str, ...]
    conditions: tuple[str, ...]
    progress: ProgressResponse
    links: Links


class QueuedResponse(ResponseModel):
    """A study in the queue.

    Args:
        id: Its id.
        name: Its name.
        owner: Name of the API key it was submitted with; None if none was needed.
        priority: Studies of higher priority are claimed first.
    """

    id: str
    name: str
    owner: str | None
    priority: int


class QueueResponse(ResponseModel):
    """The queue.

    Args:
        total: Number of studies in it.
        studies: The first of them, in the order in which they will be claimed.
    """

    total: int
    studies: tuple[QueuedResponse, ...]


class CancelledResponse(ResponseModel):
    """The result of cancelling one of several studies.

    Args:
        id: Its id, as in the request.
        state: Its new state; None if there is a problem.
        problem: Why it was not cancelled; None if it was.
    """

    id: str
    state: State | None
    problem: Problem | None


class CancelResponse(ResponseModel):
    """The results of cancelling several studies.

    Args:
        studies: In the order of the ids; those of a filter, newest first.
        more: Whether the filter selects more studies than one request cancels; repeat the request.
    """

    studies: tuple[CancelledResponse, ...]
    more: bool


class PlanResponse(ResponseModel):
    """The plan of a study.

    Args:
        spec_hash: SHA-256 of the spec without the name.
        warnings: The warnings that the study would have.
        beyond_budget: The time budgets that the estimate exceeds.
        estimate: Runs, steps and time, for each workload and arm and in total.
    """

    spec_hash: str
    warnings: tuple[str, ...]
    beyond_budget: tuple[str, ...]
    estimate: Estimate


class EventResponse(ResponseModel):
    """A change of a study's state.

    Args:
        at: When it happened (UTC).
        state: The new state.
        reason: The reason; may be empty.
    """

    at: datetime
    state: State
    reason: str


class StudyPage(ResponseModel):
    """Studies, newest first.

    Args:
        studies: At most `limit` studies.
        next_cursor: The `cursor` of the next page; None on the last page.
    """

    studies: tuple[StudySummary, ...]
    next_cursor: str | None


class RunResponse(ResponseModel):
    """A run, without its series.

    Args:
        id: Its id within the study.
        workload: The workload's name within the study.
        arm: The arm's name.
        stage: Search or confirm.
        trial: The trial's number.
        seed: The run's seed.
        setting: Every hyperparameter.
        outcome: FINISHED, DIVERGED, or STOPPED at a rung of its search.
        steps: Steps trained.
        train_loss: Final training loss; None if it diverged.
        metrics: Final metrics by name; None if not finite.
    """

    id: str
    workload: str
    arm: str
    stage: Stage
    trial: int
    seed: int
    setting: dict[str, float]
    outcome: Outcome
    steps: int
    train_loss: float | None
    metrics: dict[str, float | None]


class CurveResponse(ResponseModel):
    """A series of one run.

    Args:
        arm: The arm's name.
        stage: Search or confirm.
        trial: The trial's number.
        seed: The run's seed.
        run: The run's id within the study.
        steps: The step of each value.
        values: One value per step; None if not finite.
    """

    arm: str
    stage: Stage
    trial: int
    seed: int
    run: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]


class CurvesResponse(ResponseModel):
    """One series for a few runs of each arm on a workload.

    Args:
        workload: The workload's name within the study.
        names: The names of all series of these runs.
        series: The name of the returned series.
        curves: In the spec's order of arms: confirm runs or, before there are any, runs of the best trial so far.
    """

    workload: str
    names: tuple[str, ...]
    series: str
    curves: tuple[CurveResponse, ...]


class RunPage(ResponseModel):
    """Runs in order of (workload, arm, stage, trial, seed).

    Args:
        runs: At most `limit` runs.
        next_cursor: The `cursor` of the next page; None on the last page.
    """

    runs: tuple[RunResponse, ...]
    next_cursor: str | None


class WorkloadResponse(ResponseModel):
    """A workload that a study can use; fields as in `studies.validation.catalogue.WorkloadEntry`.

    Args:
        objectives: The possible objectives with their direction.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    default_steps: int
    epoch_examples: int
    has_validation: bool
    metrics: tuple[Metric, ...]
    objectives: dict[str, Direction]


class CallerResponse(ResponseModel):
    """The caller of a request.

    Args:
        name: The API key's name; None if no key is needed.
        role: The caller's role.
        key_id: The id of the API key of the request or of the browser's session; None if no key is needed.
    """

    name: str | None
    role: Role
    key_id: str | None


class Health(ResponseModel):
    """Whether the service is alive or ready.

    Args:
        status: Always `ok`; an unhealthy service responds with a problem.
    """

    status: str


class ReportFormat(StrEnum):
    """A format of the report; its value is the file's extension."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"
    LATEX = "tex"
