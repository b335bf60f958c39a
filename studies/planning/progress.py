"""The progress of a study: from counts of its runs, and from the rows of searches that changed since the last call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from studies.records.rows import Limit, Rows, by_arm
from studies.search.selection import Round, Score, SearchState, replay_search, select_best
from studies.spec.parameters import Direction, Stage
from studies.spec.study import StudySpec

#: A workload's and an arm's name.
ArmKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """The progress of a search.

    Args:
        runs: Search runs that it was computed from.
        reached: The budget that had ended the searches; None where none had.
        rounds: Rounds so far, the declared range first.
        trials_done: Trials that have a score.
        best: The best score; None where there is none, or all trials were stopped.
        done: Whether no trial is missing, or none will be added.
        requested_trials: Trials requested by the protocol so far.
        truncated: Whether the budget left out some of them.
    """

    runs: int
    reached: Limit | None
    rounds: tuple[Round, ...]
    trials_done: int
    best: Score | None
    done: bool
    requested_trials: int
    truncated: bool

    @property
    def trials(self) -> int:
        """Trials planned so far."""
        return sum(round_.trials for round_ in self.rounds)


@dataclass(frozen=True, kw_only=True)
class ArmProgress:
    """The progress of an arm on a workload.

    Args:
        done: Runs in the database.
        total: Expected runs, as far as the rows tell; a range extension adds to it.
        search: The progress of its search.
    """

    done: int
    total: int
    search: SearchProgress


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a study.

    Args:
        arms: By (workload, arm), in the spec's order.
    """

    arms: Mapping[ArmKey, ArmProgress]

    @property
    def done(self) -> int:
        """Runs in the database."""
        return sum(arm.done for arm in self.arms.values())

    @property
    def total(self) -> int:
        """Expected runs, as far as the rows tell."""
        return sum(arm.total for arm in self.arms.values())

    @property
    def searches(self) -> dict[ArmKey, SearchProgress]:
        """The progress of each search."""
        return {key: arm.search for key, arm in self.arms.items()}


def progress(
    spec: StudySpec,
    counts: Mapping[tuple[str, str, Stage], int],
    reached: Limit | None,
    previous: Mapping[ArmKey, SearchProgress],
    read: Callable[[Sequence[ArmKey]], Rows],
) -> Progress:
    """Return the progress of a study, replaying only the searches whose number of runs has changed.

    Args:
        spec: The study.
        counts: Its runs by (workload, arm, stage); a missing key counts as 0.
        reached: The budget that ended its searches; None where none did.
        previous: The searches of an earlier call; empty at the first.
        read: Returns the trials and the search runs of some searches.
    """
    search_runs = {key: counts.get((*key, Stage.SEARCH), 0) for key in spec.pairs}
    changed = [
        key for key in spec.pairs if key not in previous or _version(previous[key]) != (search_runs[key], reached)
    ]
    with_runs = [key for key in changed if search_runs[key]]
    rows = by_arm(read(with_runs)) if with_runs else {}
    replayed = {key: _search_progress(spec, rows.get(key, Rows(reached=reached)), key) for key in changed}
    arms: dict[ArmKey, ArmProgress] = {}
    for key in spec.pairs:
        current = replayed.get(key) or previous[key]
        arms[key] = ArmProgress(
            done=search_runs[key] + counts.get((*key, Stage.CONFIRM), 0),
            total=_expected_runs(spec, current),
            search=current,
        )
    return Progress(arms=arms)


def _version(current: SearchProgress) -> tuple[int, Limit | None]:
    return current.runs, current.reached


def _expected_runs(spec: StudySpec, current: SearchProgress) -> int:
    """Return how many runs an arm on a workload has in the end, as far as its rows tell."""
    confirm_runs = spec.protocol.confirm_seeds
    if current.reached is None or not current.truncated:
        return current.trials * spec.protocol.search_seeds + confirm_runs
    return current.runs + (confirm_runs if current.done else 0)


def _search_progress(spec: StudySpec, rows: Rows, key: ArmKey) -> SearchProgress:
    state = replay_search(spec, rows, *key)
    return SearchProgress(
        runs=sum(run.stage is Stage.SEARCH for run in rows.runs),
        reached=rows.reached,
        rounds=state.rounds,
        trials_done=len(state.scores),
        best=_best(state, spec.protocol.direction),
        done=state.done,
        requested_trials=state.requested_trials,
        truncated=state.truncated,
    )


def _best(state: SearchState, direction: Direction) -> Score | None:
    return None if all(score.stopped for score in state.scores) else select_best(state.scores, direction)
