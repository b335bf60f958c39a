"""The plan: what a study still has to train, as a pure function of its spec and its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from studies.planning.throughput import Speed, fitting, narrowed
from studies.records.rows import Lane, Mode, Pack, Rows, Trial
from studies.search.selection import Search, search, selected
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec

#: Suggests `count` settings of the searched hyperparameters: (workload, arm, search so far, batch, count).
Suggest = Callable[[WorkloadSpec, ArmSpec, Search, int, int], Sequence[Mapping[str, float]]]


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What a plan adds to the rows.

    Args:
        trials: New trials.
        packs: The packs that train them, or that confirm a selected trial.
    """

    trials: tuple[Trial, ...]
    packs: tuple[Pack, ...]


def additions(
    spec: StudySpec,
    rows: Mapping[tuple[str, str], Rows],
    speeds: Mapping[tuple[str, str], Sequence[Speed]],
    suggest: Suggest,
) -> Addition:
    """Return what has to be added to the rows so that training can go on.

    For each (workload, arm) whose packs are all done: the next batch of its search, or the confirm runs of its
    selected trial, or nothing. Batch b + 1 is asked when all of b is told. How many lanes a pack has, and how its step
    runs, is what trains them soonest by the speeds that were measured.

    Args:
        spec: The study.
        rows: Its rows, by (workload, arm).
        speeds: What was measured, likewise; those that are not there are not planned yet.
        suggest: Asks the sampler.
    """
    trials: list[Trial] = []
    packs: list[Pack] = []
    known = sum(len(own.packs) for own in rows.values())
    for workload in spec.workloads:
        for arm in spec.arms:
            if (workload.name, arm.name) not in speeds:
                continue
            own = rows.get((workload.name, arm.name), Rows())
            if any(not pack.done or pack.stage is Stage.CONFIRM for pack in own.packs):
                continue
            found = search(spec, own, workload.name, arm.name)
            if own.reached is not None and arm.search and not found.done:
                continue  # its budget is spent, and there is nothing to choose from
            if found.done:
                best = selected(found.scores, spec.protocol.direction).trial.number
                stage, batch = Stage.CONFIRM, -1
                members = [Lane(trial=best, seed=seed) for seed in spec.confirm_seeds]
            else:
                stage, batch = Stage.SEARCH, 1 + max((score.trial.batch for score in found.scores), default=-1)
                new = _next_batch(workload, arm, spec.protocol.batch, found, batch, suggest)
                trials += new
                members = [Lane(trial=trial.number, seed=seed) for trial in new for seed in spec.search_seeds]
            speed = fitting(speeds[workload.name, arm.name], len(members))
            speed = narrowed(speed, len(members), workload.length(stage))
            packs += [
                Pack(
                    number=known + len(packs) + i,
                    workload=workload.name,
                    arm=arm.name,
                    stage=stage,
                    batch=batch,
                    lanes=tuple(members[start : start + speed.lanes]),
                    mode=speed.mode,
                    width=speed.lanes if speed.mode is Mode.COMPILED else None,
                )
                for i, start in enumerate(range(0, len(members), speed.lanes))
            ]
    return Addition(trials=tuple(trials), packs=tuple(packs))


def _next_batch(
    workload: WorkloadSpec, arm: ArmSpec, size: int, found: Search, batch: int, suggest: Suggest
) -> list[Trial]:
    told = len(found.scores)
    if not arm.search:
        return [Trial(workload=workload.name, arm=arm.name, number=0, batch=0, setting=arm.fixed)]
    count = min(size, found.trials - told)
    suggested = suggest(workload, arm, found, batch, count)
    return [
        Trial(
            workload=workload.name,
            arm=arm.name,
            number=told + i,
            batch=batch,
            setting=dict(arm.fixed) | dict(values),
        )
        for i, values in enumerate(suggested)
    ]
