"""Asking Optuna for settings: a batch of suggestions from everything the search has been told so far."""

import math
from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from studies.search.selection import Round, Search
from studies.seeds import derive_seed
from studies.spec.definition import Sampler
from studies.spec.objective import Objective
from studies.spec.study import SearchRange, StudySpec, WorkloadSpec


def suggest(
    spec: StudySpec, workload: WorkloadSpec, found: Search, batch: int, count: int
) -> tuple[Mapping[str, float], ...]:
    """Return the next settings of the searched hyperparameters.

    Every batch is asked of a new Optuna study with a new sampler, seeded from (spec, workload, batch), to which all
    told trials are added: a restarted driver asks the same and is answered the same. The arm is no part of the seed:
    arms that search the same range try the same settings, so that none is luckier in what it is suggested.

    Args:
        spec: The study.
        workload: The workload of the search.
        found: Where the search stands.
        batch: The number of this ask, counting from 0.
        count: How many settings to suggest.
    """
    # TPE models the whole range with every trial; grid and random draw from what the last extension opened
    current = found.rounds[-1]
    ranges = current.ranges if spec.protocol.sampler is Sampler.TPE else current.opened
    space: dict[str, BaseDistribution] = {
        name: FloatDistribution(searched.low, searched.high, log=searched.log) for name, searched in ranges.items()
    }
    seed = derive_seed(spec.content_hash, workload.name, batch) % 2**32
    direction = StudyDirection[spec.protocol.direction.name]
    study = optuna.create_study(direction=direction, sampler=_sampler(spec.protocol.sampler, seed))
    if spec.protocol.sampler is Sampler.TPE:
        _tell(study, found, space, spec.objective)
    if spec.protocol.sampler is Sampler.GRID:
        told = len(found.scores) - (found.trials - current.trials)
        for point in _grid(current)[told : told + count]:
            study.enqueue_trial(point)
    return tuple(study.ask(space).params for _ in range(count))


def _sampler(name: Sampler, seed: int) -> BaseSampler:
    if name is Sampler.TPE:
        # named, since Optuna's defaults change between versions
        return TPESampler(
            seed=seed, n_startup_trials=10, n_ei_candidates=24, multivariate=True, group=False, constant_liar=True
        )
    return RandomSampler(seed=seed)


def _tell(study: optuna.Study, found: Search, space: dict[str, BaseDistribution], objective: Objective) -> None:
    for score in found.scores:
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

    After an extension the end where the new part meets the old range has been tried, and is left out.
    """
    ((name, opened),) = current.opened.items()
    low, high = (math.log(opened.low), math.log(opened.high)) if opened.log else (opened.low, opened.high)
    whole = current.ranges[name]
    upward, downward = opened.low > whole.low, opened.high < whole.high
    gaps = current.trials - 1 + upward + downward
    points = [low + (high - low) * (i + upward) / gaps for i in range(current.trials)]
    return [{name: _readable(math.exp(point) if opened.log else point, opened)} for point in points]


def _readable(value: float, searched: SearchRange) -> float:
    """Round a value to what people can copy from a report, inside its range."""
    return min(max(float(f"{value:.6g}"), searched.low), searched.high)
