"""What a study may spend in all: the trials that its budget leaves each search, and budgets that do not suffice.

Trials and steps of runs are charged when they are planned, a run with its whole length, and every search may have as
many trials as any other: that depends on the spec alone, not on what is trained first. Seconds and GPU-hours are
charged as they pass; see `studies.execution.time_budget`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from studies.formatting import count
from studies.records.rows import Pack
from studies.search.range_extension import extension_trials, most_extensions
from studies.spec.definition import Sampler
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec


def most_trials(spec: StudySpec, arm: ArmSpec) -> int:
    """Return how many trials a search has if its range is extended as often as it can be, whatever the budget.

    Args:
        spec: The study.
        arm: The arm that is searched; a fixed one's search is one trial.
    """
    if not arm.search:
        return 1
    trials = spec.protocol.trials
    return trials + most_extensions(arm.search) * extension_trials(trials)


def share(spec: StudySpec) -> int | None:
    """Return how many trials the budget leaves each search; None where it limits neither trials nor steps.

    Args:
        spec: The study.
    """
    shares = [_level(spec, left, costs) for left, costs in _charged(spec).values()]
    return min(shares, default=None)


def faults(spec: StudySpec) -> Mapping[str, str]:
    """Return what is wrong with the budget, by its field: what does not suffice for any study.

    Args:
        spec: The study.
    """
    least = 2 if spec.protocol.sampler is Sampler.GRID and any(arm.search for arm in spec.arms) else 1
    found: dict[str, str] = {}
    for name, (left, costs) in _charged(spec).items():
        missing = _cost(spec, least, costs) - left
        if missing > 0:
            given = spec.protocol.budget.model_dump()[name] if spec.protocol.budget else 0
            runs = "" if name == "trials" else ", and of every confirm run,"
            found[name] = (
                f"{given} is less than the {name.replace('_', ' ')} of {count(least, 'trial')} of every searched arm "
                f"and one of every fixed arm on every workload{runs} {given + missing}; give at least as many"
            )
    return found


def warnings(spec: StudySpec) -> tuple[str, ...]:
    """Return what a reader should be told of the budget before anything runs.

    Args:
        spec: The study.
    """
    found: list[str] = []
    left, trials = share(spec), spec.protocol.trials
    searched = any(arm.search for arm in spec.arms)
    if searched and left is not None and left < trials:
        found.append(f"the budget leaves each search {left} of {count(trials, 'trial')}")
    if searched and is_timed(spec) and spec.protocol.sampler is Sampler.GRID:
        found.append(
            "a grid is tried from its low end, so that a budget of time may end it before its high end; "
            "use random or tpe, or a budget of trials or run_steps, by which the grid gets wider steps"
        )
    return tuple(found)


def beyond(spec: StudySpec, *, seconds: float, gpu_hours: float) -> tuple[str, ...]:
    """Return which budgets of time an estimate is beyond, so that searches would be cut.

    Args:
        spec: The study.
        seconds: Estimated wall-clock seconds.
        gpu_hours: Estimated GPU-hours.
    """
    budget = spec.protocol.budget
    if budget is None:
        return ()
    limits = ((budget.seconds, seconds, "seconds"), (budget.gpu_hours, gpu_hours, "GPU-hours"))
    return tuple(
        f"the estimate, {taken:.3g} {unit}, is beyond the budget, {given:g}: searches would be cut"
        for given, taken, unit in limits
        if given is not None and taken > given
    )


def is_timed(spec: StudySpec) -> bool:
    """Say whether a study has a budget of seconds or GPU-hours.

    Args:
        spec: The study.
    """
    budget = spec.protocol.budget
    return budget is not None and (budget.seconds is not None or budget.gpu_hours is not None)


def in_turn(packs: Iterable[Pack]) -> list[Pack]:
    """Return packs so that every arm and workload has its first one before any has its second, and so on.

    Args:
        packs: In the order of their planning.
    """
    before: dict[tuple[str, str], int] = {}
    turns: list[tuple[int, Pack]] = []
    for pack in packs:
        key = (pack.workload, pack.arm)
        turns.append((before.get(key, 0), pack))
        before[key] = turns[-1][0] + 1
    return [pack for _, pack in sorted(turns, key=lambda turn: turn[0])]


def _charged(spec: StudySpec) -> dict[str, tuple[int, list[int]]]:
    """Return, by fields of the budget that are charged by plan, what is left for searches and what a trial costs.

    A trial's cost is given for each workload.
    """
    budget, protocol = spec.protocol.budget, spec.protocol
    found: dict[str, tuple[int, list[int]]] = {}
    if budget is not None and budget.trials is not None:
        found["trials"] = (budget.trials, [1 for _ in spec.workloads])
    if budget is not None and budget.run_steps is not None:
        confirmed = sum(each.steps for each in spec.workloads) * len(spec.arms) * protocol.confirm_seeds
        found["run_steps"] = (budget.run_steps - confirmed, [_trial_steps(spec, each) for each in spec.workloads])
    return found


def _trial_steps(spec: StudySpec, workload: WorkloadSpec) -> int:
    return spec.protocol.search_seeds * workload.search_steps


def _cost(spec: StudySpec, trials: int, costs: list[int]) -> int:
    """Return what all searches cost with at most so many trials each, by what a trial costs on each workload."""
    return sum(costs) * sum(min(trials, most_trials(spec, arm)) for arm in spec.arms)


def _level(spec: StudySpec, left: int, costs: list[int]) -> int:
    """Return the most trials each that all searches together can have for what is left."""
    most = max(most_trials(spec, arm) for arm in spec.arms)
    return bisect_right(range(most + 1), left, key=lambda trials: _cost(spec, trials, costs)) - 1
