"""When each arm reaches the target of a workload: where the best tuned arm ends."""

import math
from collections.abc import Sequence
from statistics import median, median_high

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import confirm_runs
from studies.analysis.statistics.series import steps_to_target, trailing_means
from studies.frozen_model import FrozenModel
from studies.records.rows import Outcome, Rows, Run
from studies.search.selection import final_objective
from studies.spec.study import StudySpec


class StepsToTarget(FrozenModel):
    """When an arm's confirm runs reach the target, in steps trained; nothing while one is missing.

    Args:
        arm: Its name.
        seeds: The step of each confirm run, by seed; None where it does not, or diverges.
        reached: How many do.
        median: Median over the seeds; None where that is infinite, since at least half do not reach it.
        lowest: The earliest; None where none does.
        highest: The latest; None where one does not.
        ratio: The median by that of the arm that sets the target; None where either is.
        seconds: Median over the seeds of the wall-clock seconds until then, by the mean seconds of a step; None where
            that is infinite, and where a run was not trained alone: runs that share a program have no time of theirs.
    """

    arm: str
    seeds: tuple[int | None, ...]
    reached: int
    median: float | None
    lowest: int | None
    highest: int | None
    ratio: float | None
    seconds: float | None


class Target(FrozenModel):
    """What the arms' speeds are compared by on a workload.

    It is the final objective that more than half of the confirm seeds of the best tuned arm reach: the upper median
    of that arm which has the best one. The rule is the same in every study, so that nobody chooses it afterwards.

    Args:
        value: The objective.
        arm: The arm that sets it: of the searched arms the best one, of all that are complete where none is searched.
        steps: Of every arm, in the spec's order.
    """

    value: float
    arm: str
    steps: tuple[StepsToTarget, ...]

    def of(self, arm: str) -> StepsToTarget:
        """Return when an arm reaches it."""
        return next(each for each in self.steps if each.arm == arm)


def target(spec: StudySpec, rows: Rows, workload: str, arms: Sequence[ArmReport]) -> Target | None:
    """Return the target of a workload, None where no arm that may set it has a finite median, or one is incomplete.

    A run reaches it at the first point of its objective's series that is there, or else at its end. Of the training
    loss, which is a mean over the last epoch at the end, the mean over the epoch before the point must be there.

    Args:
        spec: The study.
        rows: Its rows; without series, runs reach the target at their ends only.
        workload: The workload's name within the study.
        arms: Every arm on it.
    """
    sign = spec.protocol.direction.sign
    finals = {
        arm.arm: median_high(math.inf if seed.objective is None else sign * seed.objective for seed in arm.seeds)
        for arm in target_setters(arms)
    }
    best = min(finals, key=lambda name: finals[name], default=None)
    if best is None or math.isinf(finals[best]):
        return None
    value = sign * finals[best]
    steps = {
        arm.arm: [_reached(spec, run, value) for run in confirm_runs(rows, workload, arm.arm)]
        for arm in arms
        if arm.complete
    }
    own, alone = median(steps[best]), _alone(rows, workload)
    return Target(
        value=value,
        arm=best,
        steps=tuple(_steps(arm.arm, steps.get(arm.arm, []), own, alone.get(arm.arm, [])) for arm in arms),
    )


def target_setters(arms: Sequence[ArmReport]) -> tuple[ArmReport, ...]:
    """Return the arms that may set a workload's target: the searched ones, all of them where none is searched.

    Args:
        arms: Every arm on that workload.

    Returns:
        None at all while a searched arm is incomplete, since it could be the best one.
    """
    searched = tuple(arm for arm in arms if arm.kind == "searched")
    if searched:
        return searched if all(arm.complete for arm in searched) else ()
    return tuple(arm for arm in arms if arm.complete)


def _alone(rows: Rows, workload: str) -> dict[str, list[float]]:
    """Return the seconds of a step of each confirm run, by arm and seed; none of arms with a run not trained alone."""
    packs = {pack.number: pack for pack in rows.packs}
    found: dict[str, list[float]] = {}
    for arm in {run.arm for run in rows.runs}:
        runs = confirm_runs(rows, workload, arm)
        own = [packs.get(run.pack) for run in runs]
        if all(pack and len(pack.lanes) == 1 and (pack.width or 1) == 1 and pack.seconds for pack in own):
            found[arm] = [
                (pack.seconds or 0.0) / max(1, run.steps)
                for run, pack in zip(runs, own, strict=True)
                if pack is not None
            ]
    return found


def _reached(spec: StudySpec, run: Run, value: float) -> float:
    """Return when a confirm run reaches a value of the objective; never where it diverges.

    The training loss is taken as it is at the end, over an epoch: a batch may dip below what the mean never reaches.
    """
    if run.outcome is Outcome.DIVERGED:
        return math.inf
    objective = spec.objective
    aim = objective.oriented(value)
    found = math.inf
    for series in run.series:
        if series.name == objective.name:
            steps, values = series.steps, series.values
            if objective.name == "train_loss":
                epoch = min(spec.workload(run.workload).steps_per_epoch, run.steps)
                steps, values = trailing_means(steps, values, epoch)
            found = steps_to_target(steps, [objective.oriented(each) for each in values], aim)
    ends = objective.oriented(final_objective(run, objective)) <= aim
    return min(found, run.steps if ends else math.inf)


def _steps(arm: str, seeds: Sequence[float], own: float, seconds: Sequence[float]) -> StepsToTarget:
    middle = median(seeds) if seeds else math.inf
    taken = median(step * each for step, each in zip(seeds, seconds, strict=True)) if seeds and seconds else math.inf
    reached = [int(step) for step in seeds if math.isfinite(step)]
    return StepsToTarget(
        arm=arm,
        seeds=tuple(int(step) if math.isfinite(step) else None for step in seeds),
        reached=len(reached),
        median=middle if math.isfinite(middle) else None,
        lowest=min(reached, default=None),
        highest=max(reached) if reached and len(reached) == len(seeds) else None,
        ratio=middle / own if math.isfinite(middle) and math.isfinite(own) and own > 0 else None,
        seconds=taken if math.isfinite(taken) else None,
    )
