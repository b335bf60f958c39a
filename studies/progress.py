"""How far a study is: from counts of its runs, and from the rows of those searches only that may have been extended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from studies.choose import Round, Search, search
from studies.rows import Rows, Stage, by_arm
from studies.spec import StudySpec

#: A workload's and an arm's name.
Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a search stands.

    Args:
        rounds: So far, the declared range first.
        done: Whether no trial is missing.
    """

    rounds: tuple[Round, ...]
    done: bool

    @property
    def trials(self) -> int:
        """Trials planned so far."""
        return sum(each.trials for each in self.rounds)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a study is.

    Args:
        done: Runs in the database.
        total: Runs expected, as far as the rows tell; a range extension adds to it.
        searches: Where each search stands, by (workload, arm).
    """

    done: int
    total: int
    searches: Mapping[Place, Standing]


def progress(
    spec: StudySpec,
    counts: Mapping[tuple[str, str, Stage], int],
    known: Mapping[Place, Standing],
    read: Callable[[Sequence[Place]], Rows],
) -> Progress:
    """Return how far a study is.

    A search goes on, or is done, when the last run of its trials is there, and not before: only then is it replayed.
    One that is being confirmed is done, so that it was not extended where it has no more runs than were planned.

    Args:
        spec: The study.
        counts: Its runs by (workload, arm, stage); none of those that are not there.
        known: The searches as an earlier look had them; none at the first.
        read: Returns the trials and the search runs of some searches.
    """
    seeds = spec.protocol.search_seeds
    found: dict[Place, Standing] = {}
    due: list[Place] = []
    for place in ((workload.name, arm.name) for workload in spec.workloads for arm in spec.arms):
        at = known.get(place) or _standing(search(spec, Rows(), *place))
        searched, confirmed = (counts.get((*place, stage), 0) for stage in (Stage.SEARCH, Stage.CONFIRM))
        if not at.done and confirmed and searched == at.trials * seeds:
            at = Standing(rounds=at.rounds, done=True)
        if not at.done and searched >= at.trials * seeds:
            due.append(place)
        found[place] = at
    if due:
        apart = by_arm(read(due))
        found |= {place: _standing(search(spec, apart.get(place, Rows()), *place)) for place in due}
    return Progress(
        done=sum(counts.values()),
        total=sum(each.trials * seeds + spec.protocol.confirm_seeds for each in found.values()),
        searches=found,
    )


def _standing(found: Search) -> Standing:
    return Standing(rounds=found.rounds, done=found.done)
