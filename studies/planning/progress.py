"""How far a study is: from counts of its runs, and from the rows of searches that have more than at the last look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from studies.records.rows import Limit, Rows, by_arm
from studies.search.selection import Round, Score, Search, search, selected
from studies.spec.parameters import Direction, Stage
from studies.spec.study import StudySpec

#: A workload's and an arm's name.
Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a search stands.

    Args:
        runs: Search runs that there were.
        reached: The budget that had ended the searches; None where none had.
        rounds: So far, the declared range first.
        trials_done: Trials that have a score.
        best: The best of them; None where there is none, or all were stopped.
        done: Whether no trial is missing, or none will come.
        asked: Trials that the protocol asks for, so far.
        cut: Whether the budget left out some of them.
    """

    runs: int
    reached: Limit | None
    rounds: tuple[Round, ...]
    trials_done: int
    best: Score | None
    done: bool
    asked: int
    cut: bool

    @property
    def trials(self) -> int:
        """Trials planned so far."""
        return sum(each.trials for each in self.rounds)


@dataclass(frozen=True, kw_only=True)
class ArmProgress:
    """How far an arm is on a workload.

    Args:
        done: Runs in the database.
        total: Runs expected, as far as the rows tell; a range extension adds to it.
        search: Where its search stands.
    """

    done: int
    total: int
    search: Standing


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a study is.

    Args:
        arms: By (workload, arm), in the spec's order.
    """

    arms: Mapping[Place, ArmProgress]

    @property
    def done(self) -> int:
        """Runs in the database."""
        return sum(each.done for each in self.arms.values())

    @property
    def total(self) -> int:
        """Runs expected, as far as the rows tell."""
        return sum(each.total for each in self.arms.values())

    @property
    def searches(self) -> dict[Place, Standing]:
        """Where each search stands."""
        return {place: each.search for place, each in self.arms.items()}


def progress(
    spec: StudySpec,
    counts: Mapping[tuple[str, str, Stage], int],
    reached: Limit | None,
    known: Mapping[Place, Standing],
    read: Callable[[Sequence[Place]], Rows],
) -> Progress:
    """Return how far a study is; of its searches only those are replayed that have other runs than they had.

    Args:
        spec: The study.
        counts: Its runs by (workload, arm, stage); none of those that are not there.
        reached: The budget that ended its searches; None where none did.
        known: The searches as an earlier look had them; none at the first.
        read: Returns the trials and the search runs of some searches.
    """
    places = [(workload.name, arm.name) for workload in spec.workloads for arm in spec.arms]
    searched = {place: counts.get((*place, Stage.SEARCH), 0) for place in places}
    due = [place for place in places if place not in known or _moment(known[place]) != (searched[place], reached)]
    wanted = [place for place in due if searched[place]]
    apart = by_arm(read(wanted)) if wanted else {}
    replayed = {place: _standing(spec, apart.get(place, Rows(reached=reached)), place) for place in due}
    arms: dict[Place, ArmProgress] = {}
    for place in places:
        at = replayed.get(place) or known[place]
        arms[place] = ArmProgress(
            done=searched[place] + counts.get((*place, Stage.CONFIRM), 0),
            total=_expected(spec, at),
            search=at,
        )
    return Progress(arms=arms)


def _moment(at: Standing) -> tuple[int, Limit | None]:
    return at.runs, at.reached


def _expected(spec: StudySpec, at: Standing) -> int:
    """Return how many runs an arm on a workload has in the end, as far as its rows tell."""
    confirm_runs = spec.protocol.confirm_seeds
    if at.reached is None or not at.cut:
        return at.trials * spec.protocol.search_seeds + confirm_runs
    return at.runs + (confirm_runs if at.done else 0)


def _standing(spec: StudySpec, rows: Rows, place: Place) -> Standing:
    found = search(spec, rows, *place)
    return Standing(
        runs=sum(run.stage is Stage.SEARCH for run in rows.runs),
        reached=rows.reached,
        rounds=found.rounds,
        trials_done=len(found.scores),
        best=_best(found, spec.protocol.direction),
        done=found.done,
        asked=found.asked,
        cut=found.cut,
    )


def _best(found: Search, direction: Direction) -> Score | None:
    return None if all(score.stopped for score in found.scores) else selected(found.scores, direction)
