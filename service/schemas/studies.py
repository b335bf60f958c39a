"""Response models of studies: summaries, complete studies, progress, events, and results of cancelling."""

from datetime import datetime

from service.schemas.problems import Problem, ResponseModel
from service.states import State
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


class LogLinesResponse(ResponseModel):
    """New lines of a study's log, as data of an event stream.

    Args:
        lines: The lines as text, without line breaks.
        ended: Whether they are the last: the study has ended.
    """

    lines: tuple[str, ...]
    ended: bool


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
