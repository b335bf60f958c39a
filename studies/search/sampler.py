"""Suggestion of settings by Optuna, a batch at a time."""

import math
from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from studies.search.selection import Round, SearchState
from studies.seeds import derive_seed
from studies.spec.definition import Sampler
from studies.spec.objective import Objective
from studies.spec.study import SearchRange, StudySpec, WorkloadSpec


def suggest(
    spec: StudySpec, workload: WorkloadSpec, search: SearchState, batch: int, count: int
) -> tuple[Mapping[str, float], ...]:
    """Return the next settings of the searched hyperparameters.

    Every batch uses a new Optuna study with a new sampler, seeded from (spec, workload, batch), to which all scored
    trials are added, so that a restarted driver gets the same suggestions. The seed does not depend on the arm: arms
    that search the same range try the same settings, so that no arm has luckier suggestions.

    Args:
        spec: The study.
        workload: The workload of the search.
        search: The state of the search.
        batch: The number of the batch, counting from 0.
        count: Number of settings to suggest.
    """
    # TPE models the whole range with every trial; grid and random draw from what the last extension added
    current = search.rounds[-1]
    ranges = current.ranges if spec.protocol.sampler is Sampler.TPE else current.new_ranges
    space: dict[str, BaseDistribution] = {
        name: FloatDistribution(searched.low, searched.high, log=searched.log) for name, searched in ranges.items()
    }
    seed = derive_seed(spec.content_hash, workload.name, batch) % 2**32
    direction = StudyDirection[spec.protocol.direction.name]
    study = optuna.create_study(direction=direction, sampler=_sampler(spec.protocol.sampler, seed))
    if spec.protocol.sampler is Sampler.TPE:
        _add_trials(study, search, space, spec.objective)
    if spec.protocol.sampler is Sampler.GRID:
        start = len(search.scores) - (search.trials - current.trials)
        for point in _grid(current)[start : start + count]:
            study.enqueue_trial(point)
    return tuple(study.ask(space).params for _ in range(count))


def _sampler(name: Sampler, seed: int) -> BaseSampler:
    if name is Sampler.TPE:
        # named, since Optuna's defaults change between versions
        return TPESampler(
            seed=seed, n_startup_trials=10, n_ei_candidates=24, multivariate=True, group=False, constant_liar=True
        )
    return RandomSampler(seed=seed)


def _add_trials(
    study: optuna.Study, search: SearchState, space: dict[str, BaseDistribution], objective: Objective
) -> None:
    for score in search.scores:
        value = score.value if math.isfinite(score.value) else objective.worst
        study.add_trial(
            optuna.create_trial(
                state=TrialState.PRUNED if score.stopped else TrialState.COMPLETE,
                params={name: score.trial.setting[name] for name in space},
                distributions=space,
                value=None if score.stopped else value,
                intermediate_values={score.steps: value} if score.stopped else {},
            )
        )


def _grid(current: Round) -> list[dict[str, float]]:
    """Return a round's grid of its one hyperparameter, evenly spaced on the range's scale, both ends included.

    After an extension the end where the new part meets the old range is left out, since it has been tried.
    """
    ((name, new_range),) = current.new_ranges.items()
    low, high = (
        (math.log(new_range.low), math.log(new_range.high)) if new_range.log else (new_range.low, new_range.high)
    )
    whole = current.ranges[name]
    upward, downward = new_range.low > whole.low, new_range.high < whole.high
    gaps = current.trials - 1 + upward + downward
    points = [low + (high - low) * (i + upward) / gaps for i in range(current.trials)]
    return [{name: _round(math.exp(point) if new_range.log else point, new_range)} for point in points]


def _round(value: float, searched: SearchRange) -> float:
    """Round a value to six significant digits, within its range."""
    return min(max(float(f"{value:.6g}"), searched.low), searched.high)
