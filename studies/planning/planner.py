"""Computes which trials and packs a study trains next, as a pure function of its spec and its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from studies.planning.throughput import Speed, best_fit, shrink_to_runs
from studies.records.rows import Lane, Mode, Pack, Rows, Trial
from studies.search.selection import SearchState, replay_search, select_best
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

#: Suggests `count` settings of the searched hyperparameters: (workload, arm, search so far, batch, count).
Suggest = Callable[[WorkloadSpec, ArmSpec, SearchState, int, int], Sequence[Mapping[str, float]]]


@dataclass(frozen=True, kw_only=True)
class PlannedRows:
    """Rows that a plan adds.

    Args:
        trials: New trials.
        packs: The packs that train the new trials, or confirm a selected trial.
    """

    trials: tuple[Trial, ...]
    packs: tuple[Pack, ...]


def plan_next_packs(
    spec: StudySpec,
    rows: Mapping[tuple[str, str], Rows],
    speeds: Mapping[tuple[str, str], Sequence[Speed]],
    suggest: Suggest,
) -> PlannedRows:
    """Return the rows to add so that training can go on.

    For each (workload, arm) whose packs are all done: the next batch of its search, the confirm runs of its selected
    trial, or nothing. Batch b + 1 is suggested once all runs of batch b are done. Lanes and mode of a pack are those
    that train the runs in the least time at the measured speeds.

    Args:
        spec: The study.
        rows: Its rows, by (workload, arm).
        speeds: Measured speeds, by (workload, arm); nothing is planned for a missing one.
        suggest: Suggests settings of new trials.
    """
    trials: list[Trial] = []
    packs: list[Pack] = []
    existing_packs = sum(len(arm_rows.packs) for arm_rows in rows.values())
    for workload in spec.workloads:
        for arm in spec.arms:
            if (workload.name, arm.name) not in speeds:
                continue
            arm_rows = rows.get((workload.name, arm.name), Rows())
            if any(not pack.done or pack.stage is Stage.CONFIRM for pack in arm_rows.packs):
                continue
            state = replay_search(spec, arm_rows, workload.name, arm.name)
            if arm_rows.reached is not None and arm.search and not state.done:
                continue  # the time budget is spent, and no trial is scored
            if state.done:
                best = select_best(state.scores, spec.protocol.direction).trial.number
                stage, batch = Stage.CONFIRM, -1
                lanes = [Lane(trial=best, seed=seed) for seed in spec.confirm_seeds]
            else:
                stage, batch = Stage.SEARCH, 1 + max((score.trial.batch for score in state.scores), default=-1)
                new_trials = _next_batch(workload, arm, spec.protocol.batch, state, batch, suggest)
                trials += new_trials
                lanes = [Lane(trial=trial.number, seed=seed) for trial in new_trials for seed in spec.search_seeds]
            speed = best_fit(speeds[workload.name, arm.name], len(lanes))
            speed = shrink_to_runs(speed, len(lanes), workload.length(stage))
            packs += [
                Pack(
                    number=existing_packs + len(packs) + i,
                    workload=workload.name,
                    arm=arm.name,
                    stage=stage,
                    batch=batch,
                    lanes=tuple(lanes[start : start + speed.lanes]),
                    mode=speed.mode,
                    width=speed.lanes if speed.mode is Mode.COMPILED else None,
                )
                for i, start in enumerate(range(0, len(lanes), speed.lanes))
            ]
    return PlannedRows(trials=tuple(trials), packs=tuple(packs))


def _next_batch(
    workload: WorkloadSpec, arm: ArmSpec, size: int, state: SearchState, batch: int, suggest: Suggest
) -> list[Trial]:
    scored = len(state.scores)
    if not arm.search:
        return [Trial(workload=workload.name, arm=arm.name, number=0, batch=0, setting=arm.fixed)]
    count = min(size, state.trials - scored)
    suggested = suggest(workload, arm, state, batch, count)
    return [
        Trial(
            workload=workload.name,
            arm=arm.name,
            number=scored + i,
            batch=batch,
            setting=dict(arm.fixed) | dict(values),
        )
        for i, values in enumerate(suggested)
    ]
