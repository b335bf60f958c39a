"""Response models of runs and their curves."""

from service.schemas.problems import ResponseModel
from studies.records.rows import Outcome
from studies.spec.parameters import Stage


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


class RunPage(ResponseModel):
    """Runs in order of (workload, arm, stage, trial, seed).

    Args:
        runs: At most `limit` runs.
        next_cursor: The `cursor` of the next page; None on the last page.
    """

    runs: tuple[RunResponse, ...]
    next_cursor: str | None


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
