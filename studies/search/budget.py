"""Budgets of a study: the number of trials left for each search, and faults and warnings of a budget.

Trials and steps are charged when they are planned, a run with its whole length, and all searches get the same number
of trials, so that it depends on the spec alone, not on the order of training. Seconds and GPU-hours are charged as
they pass; see `studies.execution.time_budget`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from studies.formatting import count
from studies.records.rows import Pack
from studies.search.range_extension import extension_trials, max_extensions
from studies.spec.definition import Sampler
from studies.spec.study import ArmSpec, StudySpec


def max_trials(spec: StudySpec, arm: ArmSpec) -> int:
    """Return how many trials a search has if its range is extended as often as possible, ignoring the budget.

    Args:
        spec: The study.
        arm: The arm; a fixed one has one trial.
    """
    if not arm.search:
        return 1
    trials = spec.protocol.trials
    return trials + max_extensions(arm.search) * extension_trials(trials)


def trials_per_search(spec: StudySpec) -> int | None:
    """Return how many trials the budget leaves each search; None if it limits neither trials nor steps.

    Args:
        spec: The study.
    """
    limits = [_affordable_trials(spec, left, costs) for left, costs in _trial_costs(spec).values()]
    return min(limits, default=None)


def faults(spec: StudySpec) -> Mapping[str, str]:
    """Return the faults of the budget by field: amounts too small for the least number of trials.

    Args:
        spec: The study.
    """
    least = 2 if spec.protocol.sampler is Sampler.GRID and any(arm.search for arm in spec.arms) else 1
    faults: dict[str, str] = {}
    for name, (left, costs) in _trial_costs(spec).items():
        missing = _total_cost(spec, least, costs) - left
        if missing > 0:
            given = spec.protocol.budget.model_dump()[name] if spec.protocol.budget else 0
            runs = "" if name == "trials" else ", and of every confirm run,"
            faults[name] = (
                f"{given} is less than the {name.replace('_', ' ')} of {count(least, 'trial')} of every searched arm "
                f"and one of every fixed arm on every workload{runs} {given + missing}; give at least as many"
            )
    return faults


def warnings(spec: StudySpec) -> tuple[str, ...]:
    """Return warnings about the budget that can be given before anything runs.

    Args:
        spec: The study.
    """
    warnings: list[str] = []
    left, trials = trials_per_search(spec), spec.protocol.trials
    searched = any(arm.search for arm in spec.arms)
    if searched and left is not None and left < trials:
        warnings.append(f"the budget leaves each search {left} of {count(trials, 'trial')}")
    if searched and has_time_budget(spec) and spec.protocol.sampler is Sampler.GRID:
        warnings.append(
            "a grid is tried from its low end, so that a budget of time may end it before its high end; "
            "use random or tpe, or a budget of trials or run_steps, by which the grid gets wider steps"
        )
    return tuple(warnings)


def exceeded_budgets(spec: StudySpec, *, seconds: float, gpu_hours: float) -> tuple[str, ...]:
    """Return a warning for each time budget that an estimate exceeds, so that searches would be cut.

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
        f"the estimate, {estimated:.3g} {unit}, is beyond the budget, {limit:g}: searches would be cut"
        for limit, estimated, unit in limits
        if limit is not None and estimated > limit
    )


def has_time_budget(spec: StudySpec) -> bool:
    """Return whether a study has a budget of seconds or GPU-hours.

    Args:
        spec: The study.
    """
    budget = spec.protocol.budget
    return budget is not None and (budget.seconds is not None or budget.gpu_hours is not None)


def round_robin(packs: Iterable[Pack]) -> list[Pack]:
    """Return packs ordered so that every (workload, arm) has its first pack before any has its second, and so on.

    Args:
        packs: In the order in which they were planned.
    """
    counts: dict[tuple[str, str], int] = {}
    turns: list[tuple[int, Pack]] = []
    for pack in packs:
        key = (pack.workload, pack.arm)
        turns.append((counts.get(key, 0), pack))
        counts[key] = turns[-1][0] + 1
    return [pack for _, pack in sorted(turns, key=lambda turn: turn[0])]


def _trial_costs(spec: StudySpec) -> dict[str, tuple[int, list[int]]]:
    """Return the amount left for searches and the cost of a trial on each workload, by field of the budget."""
    budget, protocol = spec.protocol.budget, spec.protocol
    costs: dict[str, tuple[int, list[int]]] = {}
    if budget is not None and budget.trials is not None:
        costs["trials"] = (budget.trials, [1 for _ in spec.workloads])
    if budget is not None and budget.run_steps is not None:
        confirm_steps = sum(workload.steps for workload in spec.workloads) * len(spec.arms) * protocol.confirm_seeds
        trial_steps = [protocol.search_seeds * workload.search_steps for workload in spec.workloads]
        costs["run_steps"] = (budget.run_steps - confirm_steps, trial_steps)
    return costs


def _total_cost(spec: StudySpec, trials: int, costs: list[int]) -> int:
    """Return the cost of all searches with at most so many trials each, given a trial's cost on each workload."""
    return sum(costs) * sum(min(trials, max_trials(spec, arm)) for arm in spec.arms)


def _affordable_trials(spec: StudySpec, left: int, costs: list[int]) -> int:
    """Return the largest number of trials of each search that the amount left pays for."""
    most = max(max_trials(spec, arm) for arm in spec.arms)
    return bisect_right(range(most + 1), left, key=lambda trials: _total_cost(spec, trials, costs)) - 1
