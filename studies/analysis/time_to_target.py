"""Time to target: the steps in which each arm reaches the final objective of the best tuned arm."""

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
    """The steps in which an arm's confirm runs reach the target; empty while a run is missing.

    Args:
        arm: Its name.
        seeds: The step of each confirm run, by seed; None if the run never reaches the target.
        reached: How many runs reach it.
        median: Median over the seeds; None if infinite, when at least half do not reach the target.
        lowest: The fewest steps; None if no run reaches it.
        highest: The most steps; None if a run does not reach it.
        ratio: The median divided by that of the arm that sets the target; None if either is None.
        seconds: Median over the seeds of the wall-clock seconds until then, from the mean seconds of a step; None if
            infinite, and if a run shared its pack with others.
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
    """The target of a workload: the final objective that more than half of the best tuned arm's confirm seeds reach.

    It is the best of the tuned arms' upper medians. The rule is the same in every study, so that no target is chosen
    after the results are known.

    Args:
        value: The target value of the objective.
        arm: The arm that sets it: the best searched arm, or the best complete arm if none is searched.
        steps: Steps to the target of every arm, in the spec's order.
    """

    value: float
    arm: str
    steps: tuple[StepsToTarget, ...]

    def for_arm(self, arm: str) -> StepsToTarget:
        """Return when an arm reaches the target.

        Args:
            arm: The arm's name.
        """
        return next(steps for steps in self.steps if steps.arm == arm)


def find_target(spec: StudySpec, rows: Rows, workload: str, arms: Sequence[ArmReport]) -> Target | None:
    """Return the target of a workload, None if no candidate has a finite median, or a candidate is incomplete.

    A run reaches the target at the first point of its objective's series that is at least as good, or at its end. For
    the training loss, whose final value is a mean over the last epoch, the mean over the epoch before each point
    counts.

    Args:
        spec: The study.
        rows: Its rows; runs without series can reach the target at their end only.
        workload: The workload's name within the study.
        arms: Every arm on it.
    """
    sign = spec.protocol.direction.sign
    finals = {
        arm.arm: median_high(math.inf if seed.objective is None else sign * seed.objective for seed in arm.seeds)
        for arm in target_candidates(arms)
    }
    best = min(finals, key=lambda name: finals[name], default=None)
    if best is None or math.isinf(finals[best]):
        return None
    value = sign * finals[best]
    steps = {
        arm.arm: [_first_step_at_target(spec, run, value) for run in confirm_runs(rows, workload, arm.arm)]
        for arm in arms
        if arm.complete
    }
    best_median, step_seconds = median(steps[best]), _step_seconds(rows, workload)
    return Target(
        value=value,
        arm=best,
        steps=tuple(
            _steps_to_target(arm.arm, steps.get(arm.arm, []), best_median, step_seconds.get(arm.arm, []))
            for arm in arms
        ),
    )


def target_candidates(arms: Sequence[ArmReport]) -> tuple[ArmReport, ...]:
    """Return the arms that may set a workload's target: the searched ones, all of them where none is searched.

    Args:
        arms: Every arm on that workload.

    Returns:
        Empty while a searched arm is incomplete, since it could be the best one.
    """
    searched = tuple(arm for arm in arms if arm.kind == "searched")
    if searched:
        return searched if all(arm.complete for arm in searched) else ()
    return tuple(arm for arm in arms if arm.complete)


def _step_seconds(rows: Rows, workload: str) -> dict[str, list[float]]:
    """Return the mean seconds of a step by arm and confirm seed, for arms whose runs were all trained alone."""
    packs = {pack.number: pack for pack in rows.packs}
    step_seconds: dict[str, list[float]] = {}
    for arm in {run.arm for run in rows.runs}:
        runs = confirm_runs(rows, workload, arm)
        run_packs = [packs.get(run.pack) for run in runs]
        if all(pack and len(pack.lanes) == 1 and (pack.width or 1) == 1 and pack.seconds for pack in run_packs):
            step_seconds[arm] = [
                (pack.seconds or 0.0) / max(1, run.steps)
                for run, pack in zip(runs, run_packs, strict=True)
                if pack is not None
            ]
    return step_seconds


def _first_step_at_target(spec: StudySpec, run: Run, target: float) -> float:
    """Return the step at which a confirm run reaches the target, infinite if it never does or diverges.

    The training loss is averaged over an epoch, as at the end, since a single batch may dip below the mean.
    """
    if run.outcome is Outcome.DIVERGED:
        return math.inf
    objective = spec.objective
    oriented_target = objective.oriented(target)
    first_step = math.inf
    for series in run.series:
        if series.name == objective.name:
            steps, values = series.steps, series.values
            if objective.name == "train_loss":
                epoch = min(spec.workload(run.workload).steps_per_epoch, run.steps)
                steps, values = trailing_means(steps, values, epoch)
            oriented = [objective.oriented(value) for value in values]
            first_step = steps_to_target(steps, oriented, oriented_target)
    reached_at_end = objective.oriented(final_objective(run, objective)) <= oriented_target
    return min(first_step, run.steps if reached_at_end else math.inf)


def _steps_to_target(
    arm: str, seeds: Sequence[float], best_median: float, step_seconds: Sequence[float]
) -> StepsToTarget:
    median_steps = median(seeds) if seeds else math.inf
    seconds = [steps * of_step for steps, of_step in zip(seeds, step_seconds, strict=True)] if step_seconds else []
    median_seconds = median(seconds) if seconds else math.inf
    reached = [int(step) for step in seeds if math.isfinite(step)]
    return StepsToTarget(
        arm=arm,
        seeds=tuple(int(step) if math.isfinite(step) else None for step in seeds),
        reached=len(reached),
        median=median_steps if math.isfinite(median_steps) else None,
        lowest=min(reached, default=None),
        highest=max(reached) if reached and len(reached) == len(seeds) else None,
        ratio=median_steps / best_median if math.isfinite(median_steps) and 0 < best_median < math.inf else None,
        seconds=median_seconds if math.isfinite(median_seconds) else None,
    )
