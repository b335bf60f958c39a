"""The answers of the HTTP service, shared with the client."""

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
        score: Its score; None where it diverged, as all others then.
        setting: Every hyperparameter.
    """

    trial: int
    score: float | None
    setting: dict[str, float]


class ArmProgressResponse(ResponseModel):
    """How far an arm is on a workload.

    Args:
        workload: The workload's name within the study.
        arm: The arm's name.
        done: Runs done.
        total: Runs expected; a range extension adds to it.
        trials_done: Trials of its search that have a score.
        trials_total: Trials of its search; 1 where it is fixed.
        best: The best trial so far, None before there is one.
    """

    workload: str
    arm: str
    done: int
    total: int
    trials_done: int
    trials_total: int
    best: BestResponse | None


class ProgressResponse(ResponseModel):
    """How far a study is.

    Args:
        done: Runs done.
        total: Runs expected; a range extension adds to it.
        arms: By workload and arm, in the spec's order.
    """

    done: int
    total: int
    arms: tuple[ArmProgressResponse, ...]


class Links(ResponseModel):
    """Where more is found.

    Args:
        self: The study.
        page: The study for people, in a browser.
        runs: Its runs.
        events: What happens to it, as server-sent events.
        report: Its report, None until there is one.
        mlflow: Its experiment in the MLflow UI, None until there is one.
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
        name: Its title.
        owner: Name of the API key that it was posted with; None where none was needed.
        priority: The higher the sooner it is taken up.
        state: Where it is.
        reason: Why it is there, in plain words; empty where there is nothing to say.
        spec_hash: SHA-256 of the spec without the name.
        created_at: When it was posted (UTC).
        started_at: When a runner first took it up.
        ended_at: When it ended.
        archived_at: When it was put out of the lists; None where it was not.
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
        warnings: What a reader should be told before anything runs.
        conditions: Why it is where it is, and what happened to its searches, in plain words.
        progress: How far it is.
        links: Where more is found.
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
        name: Its title.
        owner: Name of the API key that it was posted with; None where none was needed.
        priority: The higher the sooner it is taken up.
    """

    id: str
    name: str
    owner: str | None
    priority: int


class QueueResponse(ResponseModel):
    """The queue.

    Args:
        total: Studies in it.
        studies: The first of them, in the order in which they will be taken up.
    """

    total: int
    studies: tuple[QueuedResponse, ...]


class CancelledResponse(ResponseModel):
    """What became of a study that was to be cancelled with others.

    Args:
        id: Its id, as it was given.
        state: Where it is then; None where there is a problem.
        problem: Why it was not cancelled; None where it was.
    """

    id: str
    state: State | None
    problem: Problem | None


class CancelResponse(ResponseModel):
    """What became of studies that were to be cancelled.

    Args:
        studies: In the order given; those that a filter found, newest first.
        more: Whether the filter finds more than one request cancels; ask again.
    """

    studies: tuple[CancelledResponse, ...]
    more: bool


class PlanResponse(ResponseModel):
    """What a study would take.

    Args:
        spec_hash: SHA-256 of the spec without the name.
        warnings: Those that the study would have.
        beyond_budget: Which budgets of time the estimate is beyond.
        estimate: Runs, steps and time, by workload and arm and in total.
    """

    spec_hash: str
    warnings: tuple[str, ...]
    beyond_budget: tuple[str, ...]
    estimate: Estimate


class EventResponse(ResponseModel):
    """Something that happened to a study.

    Args:
        at: When (UTC).
        state: Where the study was from then on.
        reason: Why, in plain words; empty where there is nothing to say.
    """

    at: datetime
    state: State
    reason: str


class StudyPage(ResponseModel):
    """Studies, newest first.

    Args:
        studies: At most as many as asked for.
        next_cursor: Give it as `cursor` for the next page; None on the last.
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
        outcome: FINISHED, DIVERGED, or STOPPED where it was behind at a rung of its search.
        steps: Steps trained.
        train_loss: Final training loss; None where it diverged.
        metrics: Final metrics by name; those that are not finite are None.
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
        steps: The step after which each value holds.
        values: One a step; those that are not finite are None.
    """

    arm: str
    stage: Stage
    trial: int
    seed: int
    run: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]


class CurvesResponse(ResponseModel):
    """What is to be seen of the arms of a workload so far.

    Args:
        workload: The workload's name within the study.
        names: Series that these runs have.
        series: The one that is shown.
        curves: Of a few runs of each arm, in the spec's order: confirm runs, or before there are any those of the
            best trial so far.
    """

    workload: str
    names: tuple[str, ...]
    series: str
    curves: tuple[CurveResponse, ...]


class RunPage(ResponseModel):
    """Runs in order of (workload, arm, stage, trial, seed).

    Args:
        runs: At most as many as asked for.
        next_cursor: Give it as `cursor` for the next page; None on the last.
    """

    runs: tuple[RunResponse, ...]
    next_cursor: str | None


class WorkloadResponse(ResponseModel):
    """A workload that a study can name; fields as in `studies.validation.catalogue.WorkloadEntry`.

    Args:
        objectives: What a study with this workload can select on, and which way it is better.
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
    """Who asks.

    Args:
        name: The API key's; None where none is needed.
        role: What the caller may do.
        key_id: Of the API key that was shown, or that the browser logged in with; None where none is needed.
    """

    name: str | None
    role: Role
    key_id: str | None


class Health(ResponseModel):
    """Whether the service is alive or ready.

    Args:
        status: `ok`, or why not.
    """

    status: str


class ReportFormat(StrEnum):
    """A form of the report; its value is the file's extension."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"
    LATEX = "tex"
