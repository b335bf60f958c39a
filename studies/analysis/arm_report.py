"""The report of one arm on one workload: search, chosen setting, confirm seeds, summaries, costs."""

from typing import Literal

from studies.analysis.comparison import Comparison, Interval
from studies.analysis.tuning import Tuning
from studies.frozen_model import FrozenModel
from studies.records.rows import Outcome
from studies.spec.study import SearchRange


class TrialScore(FrozenModel):
    """A trial of a search.

    Args:
        number: Counts from 0 within the search.
        setting: Every hyperparameter.
        score: Median of the objective over the search seeds; None where that diverged or was stopped.
        stopped: Whether the pruner stopped it.
        steps: Steps trained by its search runs together.
    """

    number: int
    setting: dict[str, float]
    score: float | None
    stopped: bool
    steps: int


class SearchReport(FrozenModel):
    """A search; a fixed arm's is its single trial.

    Args:
        complete: Whether a setting is chosen: no trial is missing, or the budget allows no more.
        asked: Trials requested by the protocol so far.
        cut: Whether the budget left out some of them, so that the arm is not fully tuned.
        diverged: Trials whose score diverged.
        stopped: Trials that the pruner stopped.
        extensions: How often the range was extended tenfold.
        ranges: The searched ranges at the end, by hyperparameter; empty for a fixed arm.
        closed: Whether the chosen setting is away from every edge that could be extended; None while incomplete.
        trials: Completed trials, by number.
    """

    complete: bool
    asked: int
    cut: bool
    diverged: int
    stopped: int
    extensions: int
    ranges: dict[str, SearchRange]
    closed: bool | None
    trials: tuple[TrialScore, ...]


class SeedResult(FrozenModel):
    """A confirm run.

    Args:
        seed: Its seed.
        outcome: FINISHED or DIVERGED.
        steps: Steps trained.
        train_loss: Final training loss; None where it diverged.
        objective: Final value of the objective; None where it diverged.
        metrics: Final `validation_*` and `test_*` values by name; None where not finite, empty where it diverged.
    """

    seed: int
    outcome: Outcome
    steps: int
    train_loss: float | None
    objective: float | None
    metrics: dict[str, float | None]


class Summary(FrozenModel):
    """A measured quantity, summarized over the confirm seeds that did not diverge.

    Args:
        name: `train_loss`, or `validation_*` or `test_*`.
        seeds: Number of values.
        center: Geometric mean of a loss, with the study's floor; mean of anything else.
        lowest: Smallest value.
        highest: Largest value.
        interval_95: t-interval of the mean, for a loss of the mean log10; None for a single seed.
    """

    name: str
    seeds: int
    center: float
    lowest: float
    highest: float
    interval_95: Interval | None


class TuningCost(FrozenModel):
    """The cost of an arm's search on a workload.

    Args:
        trials: Settings tried.
        runs: Search runs done.
        steps: Steps trained by them together.
        seconds: Wall-clock seconds of the packs they were trained in, one after the other; None where not measured.
    """

    trials: int
    runs: int
    steps: int
    seconds: float | None


class Divergence(FrozenModel):
    """How many of an arm's confirm runs diverged.

    Args:
        diverged: Runs that diverged.
        runs: All confirm runs.
        rate: Share of runs that diverged.
        interval_95: Wilson's interval of the rate.
    """

    diverged: int
    runs: int
    rate: float
    interval_95: Interval


class ArmCost(FrozenModel):
    """The cost of all of an arm's runs on a workload, to compare with the estimate.

    Args:
        search_runs: Runs of its search.
        confirm_runs: Runs of the comparison.
        run_steps: Steps trained by all of them together.
        seconds: Wall-clock seconds of their packs, one after the other.
    """

    search_runs: int
    confirm_runs: int
    run_steps: int
    seconds: float


class ArmReport(FrozenModel):
    """An arm on a workload.

    Args:
        arm: Its name.
        optimizer: The registered optimizer.
        kind: Fixed or searched.
        is_reference: Whether it is the reference arm.
        setting: The chosen setting, every hyperparameter; None while the search is incomplete.
        search: The search that chose it.
        complete: Whether every confirm seed is done.
        seeds: The confirm runs, by seed.
        diverged: How many of them diverged.
        divergence: Their rate with its interval; None without runs.
        objective: Summary of the objective over the confirm seeds; None without a finite value.
        summaries: Of the training loss and every other measured quantity, by name, the training loss first.
        search_score: Score of the chosen setting in the search; None where it diverged or is not chosen yet.
        confirm_score: The same median over the confirm seeds; None where that diverged or seeds are missing.
        optimism_gap: How much worse the confirm score is than the search score, on the comparison scale (decades for a
            loss); None if either is None, and if search runs are shorter than confirm runs.
        comparison: With the reference arm; None for the reference arm itself.
        tuning_cost: The cost of the search.
        tuning: The tuning curves of the search.
        spent: The cost of the search and the comparison.
    """

    arm: str
    optimizer: str
    kind: Literal["fixed", "searched"]
    is_reference: bool
    setting: dict[str, float] | None
    search: SearchReport
    complete: bool
    seeds: tuple[SeedResult, ...]
    diverged: int
    divergence: Divergence | None
    objective: Summary | None
    summaries: tuple[Summary, ...]
    search_score: float | None
    confirm_score: float | None
    optimism_gap: float | None
    comparison: Comparison | None
    tuning_cost: TuningCost
    tuning: Tuning
    spent: ArmCost

    def summary(self, name: str) -> Summary | None:
        """Return the summary of a measured quantity, None where no seed has a value.

        Args:
            name: As in `Summary`.
        """
        return next((summary for summary in self.summaries if summary.name == name), None)
