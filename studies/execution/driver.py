"""The driver of one study: plans its packs from its spec and its rows, and records their results."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from studies.errors import PackFailedError
from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.execution.jobs import FailureKind, Job, PackResult, Probe, TrainingSite, build_task
from studies.execution.ledger import Ledger
from studies.execution.probes import ThroughputProbes
from studies.execution.time_budget import TimeBudget, confirm_cost, has_open_searches, has_untrained_runs
from studies.planning.planner import plan_next_packs
from studies.planning.throughput import Speed
from studies.records.rows import Limit, Outcome, Pack, Rows, Run, by_arm
from studies.search.budget import has_time_budget, round_robin
from studies.search.sampler import suggest
from studies.search.selection import SearchState
from studies.search.successive_halving import rung_limits
from studies.spec.parameters import Stage
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from studies.training.measurements import Measurement
from studies.training.task import LaneTask, Pruning

log = logging.getLogger(__name__)

#: How often a pack is retried after its worker died, counted anew once it has written a later checkpoint.
MAX_RETRIES = 2


class Driver:
    """Provides a study's packs and records their results; the `JobSource` of a cluster.

    Args:
        spec: The study.
        ledger: Its rows.
        site: Where it is trained.
        parameters: Stores final parameters of confirm runs until they are in MLflow.
        checkpoints: Stores checkpoints, from which packs resume after their worker died.
        paused: Polled continually; True while no new pack may start.
    """

    def __init__(
        self,
        *,
        spec: StudySpec,
        ledger: Ledger,
        site: TrainingSite,
        parameters: ParameterStore,
        checkpoints: CheckpointStore,
        paused: Callable[[], bool],
    ) -> None:
        """Read the rows; packs that an earlier driver planned and did not finish come first."""
        self._spec, self._ledger, self._site, self._parameters = spec, ledger, site, parameters
        self._checkpoints, self._paused = checkpoints, paused
        rows = ledger.rows()
        self._reached_limit: Limit | None = None
        self._rows = by_arm(rows)
        self._waiting = self._ordered([pack for pack in rows.packs if not pack.done])
        self._training: dict[int, Pack] = {}
        self._attempts: dict[int, int] = {}
        self._checkpointed_at: dict[int, int] = {}
        self._latest_checkpoint: int | None = checkpoints.latest_modified_ns()
        self._probes = ThroughputProbes(spec, ledger, site)
        self._time_budget = TimeBudget(spec, ledger, site)
        self._pack_seconds = math.fsum(pack.seconds or 0.0 for pack in rows.packs)
        if rows.reached is not None:
            self._end_searches(rows.reached)

    def is_complete(self) -> bool:
        """Return whether the whole study is trained, or all that its budget allows."""
        if self._is_time_up():
            return not self._training and not self._probes.is_measuring
        self._plan()
        return not self._waiting and not self._training and not self._probes.is_pending

    def is_finished(self) -> bool:
        """Return whether there is nothing left to train, now or later."""
        if self._paused():
            return not self._training and not self._probes.is_measuring
        return self.is_complete()

    def next_job(self) -> Job | Probe | None:
        """Return the next pack or probe; None if it depends on packs in training or running probes."""
        if self._paused() or self._is_time_up():
            return None
        # with a time budget, speeds come first: they tell the cost of confirming, and let all searches start together
        if has_time_budget(self._spec) and (probe := self._probes.next_probe()) is not None:
            return probe
        self._plan()
        if not self._waiting:
            return self._probes.next_probe()
        pack = self._waiting.pop(0)
        self._training[pack.number] = pack
        log.info(
            "pack %s is handed out: %s runs of %s on %s (%s)",
            pack.number,
            len(pack.lanes),
            pack.arm,
            pack.workload,
            pack.stage,
            extra={"pack": pack.number},
        )
        return self._job(pack)

    def record_result(self, pack: int, result: PackResult) -> None:
        """Write a pack's runs in one transaction."""
        done = replace(self._training.pop(pack), done=True, mode=result.mode, seconds=result.seconds, host=result.host)
        runs = tuple(_run(done, lane, result) for lane in range(len(done.lanes)))
        if done.stage is Stage.CONFIRM:
            # before the rows, so that a run in the database always has its parameters
            for run, parameters in zip(runs, result.parameters, strict=True):
                self._parameters.save(run, parameters)
        self._ledger.finish_pack(done, runs)
        self._checkpoints.delete(pack)
        log.info("pack %s is done: %s runs in %.1f s", pack, len(runs), result.seconds, extra={"pack": pack})
        arm_rows = self._rows[done.workload, done.arm]
        packs = tuple(done if planned.number == pack else planned for planned in arm_rows.packs)
        runs_without_series = tuple(replace(run, series=()) for run in runs)
        self._pack_seconds += result.seconds
        self._rows[done.workload, done.arm] = replace(arm_rows, packs=packs, runs=arm_rows.runs + runs_without_series)

    def record_speeds(self, probe: int, speeds: Sequence[Speed]) -> None:
        """Store the speeds that a probe measured, for this study and later ones."""
        self._probes.record_speeds(probe, speeds)

    def record_wait(self, reason: str) -> None:
        """Record what the next pack waits for; empty if no pack waits for long."""
        self._ledger.record_wait(reason)

    def handle_failure(self, number: int, reason: str, failure: FailureKind) -> None:
        """Retry a lost pack or probe, halve one that did not fit into memory, or fail.

        Raises:
            PackFailedError: A retry would not help.
        """
        if number not in self._training:
            self._probes.handle_failure(number, reason, failure)
            return
        failed = self._training.pop(number)
        if failure is FailureKind.MEMORY and len(failed.lanes) > 1:
            log.warning("pack %s is halved: %s", number, reason, extra={"pack": number})
            self._halve(failed)
            return
        previous, latest = self._checkpointed_at.get(number, 0), self._checkpoints.modified_ns(number)
        attempts = 1 if latest > previous else self._attempts.get(number, 0) + 1
        self._attempts[number], self._checkpointed_at[number] = attempts, latest
        if failure is not FailureKind.LOST or attempts > MAX_RETRIES:
            raise PackFailedError(f"{failed.arm} on {failed.workload} ({failed.stage}): {reason}")
        log.warning("pack %s is handed out again: %s", number, reason, extra={"pack": number})
        self._waiting.insert(0, failed)

    def poll(self) -> None:
        """Record progress once, when a checkpoint is newer than those of earlier drivers."""
        if self._latest_checkpoint is not None and self._checkpoints.latest_modified_ns() > self._latest_checkpoint:
            self._latest_checkpoint = None
            self._ledger.record_progress()

    def _halve(self, pack: Pack) -> None:
        self._probes.exclude_lanes(pack.workload, pack.arm, pack.width or len(pack.lanes))
        middle = -(-len(pack.lanes) // 2)
        smaller = replace(pack, width=None if pack.width is None else -(-pack.width // 2))
        first = replace(smaller, lanes=pack.lanes[:middle])
        number = sum(len(rows.packs) for rows in self._rows.values())
        second = replace(smaller, lanes=pack.lanes[middle:], number=number)
        self._ledger.split_pack(first, second)
        self._checkpoints.delete(pack.number)
        arm_rows = self._rows[pack.workload, pack.arm]
        packs = tuple(first if planned.number == pack.number else planned for planned in arm_rows.packs)
        self._rows[pack.workload, pack.arm] = replace(arm_rows, packs=(*packs, second))
        self._waiting = [first, second, *self._waiting]

    def _ordered(self, packs: list[Pack]) -> list[Pack]:
        """Return packs in training order: with a time budget, all searches advance equally."""
        return round_robin(packs) if has_time_budget(self._spec) else packs

    def _is_time_up(self) -> bool:
        """Return whether a time budget is used up; end the searches when the rest is needed for confirm runs."""
        if not has_time_budget(self._spec):
            return False
        if (limit := self._time_budget.reached_limit(self._pack_seconds)) is not None:
            if self._reached_limit is None and has_untrained_runs(self._spec, self._rows, self._training):
                self._record_limit(limit, "what is in training is finished, and nothing more begun")
            return True
        if self._reached_limit is None:
            reserve = confirm_cost(self._spec, self._rows, self._training, self._probes.speeds, self._site.workers)
            limit = self._time_budget.reached_limit(self._pack_seconds, reserve)
            if limit is not None and has_open_searches(self._spec, self._rows):
                self._record_limit(limit, "the searches end here, and the best that they found is confirmed")
        if self._reached_limit is not None:
            self._end_searches(self._reached_limit)  # a lost or halved pack may have been added to the waiting ones
        return False

    def _record_limit(self, limit: Limit, what: str) -> None:
        self._ledger.record_limit(limit, f"the budget of {limit.value.replace('_', ' ')}: {what}")
        log.info("the budget of %s: %s", limit.value, what)
        self._end_searches(limit)

    def _end_searches(self, limit: Limit) -> None:
        """Drop waiting packs of searches; they count as done, so that their numbers are not reused."""
        self._reached_limit = limit
        dropped = {
            pack.number for pack in self._waiting if pack.stage is Stage.SEARCH and self._spec.arm(pack.arm).search
        }
        self._waiting = [pack for pack in self._waiting if pack.number not in dropped]
        for key in self._spec.pairs:
            arm_rows = self._rows.get(key, Rows())
            packs = tuple(replace(pack, done=True) if pack.number in dropped else pack for pack in arm_rows.packs)
            self._rows[key] = replace(arm_rows, packs=packs, reached=limit)

    def _plan(self) -> None:
        if self._waiting:
            return
        planned = plan_next_packs(self._spec, self._rows, self._probes.speeds, self._suggest)
        if not planned.packs:
            return
        self._ledger.add_plan(planned.trials, planned.packs)
        for key, new_rows in by_arm(Rows(trials=planned.trials, packs=planned.packs)).items():
            rows = self._rows.get(key, Rows())
            self._rows[key] = replace(rows, trials=rows.trials + new_rows.trials, packs=rows.packs + new_rows.packs)
        self._waiting += self._ordered(list(planned.packs))

    def _suggest(
        self, workload: WorkloadSpec, arm: ArmSpec, search: SearchState, batch: int, count: int
    ) -> tuple[Mapping[str, float], ...]:
        return suggest(self._spec, workload, search, batch, count)

    def _job(self, pack: Pack) -> Job:
        workload, arm = self._spec.workload(pack.workload), self._spec.arm(pack.arm)
        settings = {trial.number: trial.setting for trial in self._rows[pack.workload, pack.arm].trials}
        lanes = [LaneTask(setting=settings[lane.trial], seed=lane.seed) for lane in pack.lanes]
        has_pruning = pack.stage is Stage.SEARCH and workload.rungs
        task = build_task(self._spec, workload, arm, lanes, pack.stage)
        return Job(
            number=pack.number,
            optimizer=arm.optimizer,
            task=replace(task, pruning=self._pruning(workload, pack)) if has_pruning else task,
            threads=pack.threads,
            mode=pack.mode,
            width=pack.width,
            data_dir=self._site.data_dir,
            programs=self._site.programs,
            checkpoints=self._checkpoints,
        )

    def _pruning(self, workload: WorkloadSpec, pack: Pack) -> Pruning:
        """Return the pruning of a pack's search runs, by the runs of earlier batches only."""
        protocol, arm_rows = self._spec.protocol, self._rows[pack.workload, pack.arm]
        batches = {trial.number: trial.batch for trial in arm_rows.trials}
        earlier = [run for run in arm_rows.runs if run.stage is Stage.SEARCH and batches[run.trial] < pack.batch]
        return Pruning(
            steps=workload.rungs,
            limits=rung_limits(len(workload.rungs), earlier, protocol.direction),
            objective=protocol.objective,
            direction=protocol.direction,
        )


def _run(pack: Pack, lane: int, result: PackResult) -> Run:
    measurement = result.measurements[lane]
    return Run(
        workload=pack.workload,
        arm=pack.arm,
        trial=pack.lanes[lane].trial,
        seed=pack.lanes[lane].seed,
        stage=pack.stage,
        outcome=_outcome(measurement),
        steps=measurement.steps,
        start_loss=measurement.start_loss,
        train_loss=measurement.train_loss,
        metrics=measurement.metrics,
        rungs=measurement.rungs,
        pack=pack.number,
        lane=lane,
        series=measurement.series,
    )


def _outcome(measurement: Measurement) -> Outcome:
    if measurement.diverged:
        return Outcome.DIVERGED
    return Outcome.STOPPED if measurement.stopped else Outcome.FINISHED
