"""Driving one study: from its spec and its rows to all its runs, pack by pack."""

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

#: A pack whose worker died is handed out again this often, and as often again once it has got further.
MAX_RETRIES = 2


class Driver:
    """Hands out a study's packs and writes what comes back; the `Source` of a cluster.

    Args:
        spec: The study.
        ledger: Its rows.
        site: Where it is trained.
        parameters: Where final parameters of confirm runs wait for MLflow.
        checkpoints: From where packs go on whose workers died.
        paused: Asked all the time: whether nothing new may be handed out now.
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
        """Read the rows: what an earlier driver planned and did not finish is handed out first."""
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
        self._spending = TimeBudget(spec, ledger, site)
        self._pack_seconds = math.fsum(pack.seconds or 0.0 for pack in rows.packs)
        if rows.reached is not None:
            self._end_searches(rows.reached)

    def is_complete(self) -> bool:
        """Whether all of the study is trained, or all that its budget allows."""
        if self._is_time_up():
            return not self._training and not self._probes.is_measuring
        self._plan()
        return not self._waiting and not self._training and not self._probes.is_pending

    def is_finished(self) -> bool:
        """Whether there is nothing left to hand out, now or later."""
        if self._paused():
            return not self._training and not self._probes.is_measuring
        return self.is_complete()

    def next_job(self) -> Job | Probe | None:
        """Return the next pack or probe, or None where it depends on what is being trained or measured."""
        if self._paused() or self._is_time_up():
            return None
        # what confirming takes has to be known in time, and no search is to be far ahead of one that cannot begin
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
        """Write a pack's runs, in one transaction."""
        done = replace(self._training.pop(pack), done=True, mode=result.mode, seconds=result.seconds, host=result.host)
        runs = tuple(_run(done, lane, result) for lane in range(len(done.lanes)))
        if done.stage is Stage.CONFIRM:
            # before the rows: a run in the database always has its parameters
            for run, parameters in zip(runs, result.parameters, strict=True):
                self._parameters.save(run, parameters)
        self._ledger.finish_pack(done, runs)
        self._checkpoints.delete(pack)
        log.info("pack %s is done: %s runs in %.1f s", pack, len(runs), result.seconds, extra={"pack": pack})
        own = self._rows[done.workload, done.arm]
        packs = tuple(done if each.number == pack else each for each in own.packs)
        kept = tuple(replace(run, series=()) for run in runs)
        self._pack_seconds += result.seconds
        self._rows[done.workload, done.arm] = replace(own, packs=packs, runs=own.runs + kept)

    def record_speeds(self, probe: int, speeds: Sequence[Speed]) -> None:
        """Take what a probe found, for this study and those to come."""
        self._probes.record_speeds(probe, speeds)

    def record_wait(self, reason: str) -> None:
        """Write what the next pack waits for; empty where none waits for long."""
        self._ledger.record_wait(reason)

    def handle_failure(self, number: int, reason: str, failure: FailureKind) -> None:
        """Hand a lost pack or probe out again, halve one that did not fit into memory, or give the study up.

        Raises:
            PackFailedError: Where trying again is of no use.
        """
        if number not in self._training:
            self._probes.handle_failure(number, reason, failure)
            return
        failed = self._training.pop(number)
        if failure is FailureKind.MEMORY and len(failed.lanes) > 1:
            log.warning("pack %s is halved: %s", number, reason, extra={"pack": number})
            self._halve(failed)
            return
        before, written = self._checkpointed_at.get(number, 0), self._checkpoints.modified_ns(number)
        tries = 1 if written > before else self._attempts.get(number, 0) + 1
        self._attempts[number], self._checkpointed_at[number] = tries, written
        if failure is not FailureKind.LOST or tries > MAX_RETRIES:
            raise PackFailedError(f"{failed.arm} on {failed.workload} ({failed.stage}): {reason}")
        log.warning("pack %s is handed out again: %s", number, reason, extra={"pack": number})
        self._waiting.insert(0, failed)

    def poll(self) -> None:
        """Write, once, that a pack got further than ever before: this driver was not in vain, however it ends."""
        if self._latest_checkpoint is not None and self._checkpoints.latest_modified_ns() > self._latest_checkpoint:
            self._latest_checkpoint = None
            self._ledger.record_progress()

    def _halve(self, pack: Pack) -> None:
        self._probes.exclude_lanes(pack.workload, pack.arm, pack.width or len(pack.lanes))
        middle = -(-len(pack.lanes) // 2)
        smaller = replace(pack, width=None if pack.width is None else -(-pack.width // 2))
        first = replace(smaller, lanes=pack.lanes[:middle])
        number = sum(len(own.packs) for own in self._rows.values())
        second = replace(smaller, lanes=pack.lanes[middle:], number=number)
        self._ledger.split_pack(first, second)
        self._checkpoints.delete(pack.number)
        own = self._rows[pack.workload, pack.arm]
        packs = tuple(first if each.number == pack.number else each for each in own.packs)
        self._rows[pack.workload, pack.arm] = replace(own, packs=(*packs, second))
        self._waiting = [first, second, *self._waiting]

    def _ordered(self, packs: list[Pack]) -> list[Pack]:
        """Return packs in the order of their training: time that runs out is to find all searches equally far."""
        return round_robin(packs) if has_time_budget(self._spec) else packs

    def _is_time_up(self) -> bool:
        """Whether a budget of time is used up, so that nothing more is handed out; sooner, it ends the searches."""
        if not has_time_budget(self._spec):
            return False
        if (limit := self._spending.reached_limit(self._pack_seconds)) is not None:
            if self._reached_limit is None and has_untrained_runs(self._spec, self._rows, self._training):
                self._record_limit(limit, "what is in training is finished, and nothing more begun")
            return True
        if self._reached_limit is None:
            reserve = confirm_cost(self._spec, self._rows, self._training, self._probes.speeds, self._site.workers)
            limit = self._spending.reached_limit(self._pack_seconds, reserve)
            if limit is not None and has_open_searches(self._spec, self._rows):
                self._record_limit(limit, "the searches end here, and the best that they found is confirmed")
        if self._reached_limit is not None:
            self._end_searches(self._reached_limit)  # a pack that was lost, or halved, waits again
        return False

    def _record_limit(self, limit: Limit, what: str) -> None:
        self._ledger.record_limit(limit, f"the budget of {limit.value.replace('_', ' ')}: {what}")
        log.info("the budget of %s: %s", limit.value, what)
        self._end_searches(limit)

    def _end_searches(self, limit: Limit) -> None:
        """Give up what waits of searches; that packs of it count as done keeps their numbers from being given again."""
        self._reached_limit = limit
        given_up = {
            pack.number for pack in self._waiting if pack.stage is Stage.SEARCH and self._spec.arm(pack.arm).search
        }
        self._waiting = [pack for pack in self._waiting if pack.number not in given_up]
        for key in self._spec.pairs:
            own = self._rows.get(key, Rows())
            packs = tuple(replace(each, done=True) if each.number in given_up else each for each in own.packs)
            self._rows[key] = replace(own, packs=packs, reached=limit)

    def _plan(self) -> None:
        if self._waiting:
            return
        added = plan_next_packs(self._spec, self._rows, self._probes.speeds, self._suggest)
        if not added.packs:
            return
        self._ledger.add_plan(added.trials, added.packs)
        for key, new in by_arm(Rows(trials=added.trials, packs=added.packs)).items():
            own = self._rows.get(key, Rows())
            self._rows[key] = replace(own, trials=own.trials + new.trials, packs=own.packs + new.packs)
        self._waiting += self._ordered(list(added.packs))

    def _suggest(
        self, workload: WorkloadSpec, arm: ArmSpec, found: SearchState, batch: int, count: int
    ) -> tuple[Mapping[str, float], ...]:
        return suggest(self._spec, workload, found, batch, count)

    def _job(self, pack: Pack) -> Job:
        workload, arm = self._spec.workload(pack.workload), self._spec.arm(pack.arm)
        settings = {trial.number: trial.setting for trial in self._rows[pack.workload, pack.arm].trials}
        members = [LaneTask(setting=settings[lane.trial], seed=lane.seed) for lane in pack.lanes]
        judges = pack.stage is Stage.SEARCH and workload.rungs
        task = build_task(self._spec, workload, arm, members, pack.stage)
        return Job(
            number=pack.number,
            optimizer=arm.optimizer,
            task=replace(task, pruning=self._pruning(workload, pack)) if judges else task,
            threads=pack.threads,
            mode=pack.mode,
            width=pack.width,
            data_dir=self._site.data_dir,
            programs=self._site.programs,
            checkpoints=self._checkpoints,
        )

    def _pruning(self, workload: WorkloadSpec, pack: Pack) -> Pruning:
        """Return what a pack's search runs are judged by: the runs of earlier batches, whatever else is done."""
        protocol, own = self._spec.protocol, self._rows[pack.workload, pack.arm]
        batches = {trial.number: trial.batch for trial in own.trials}
        earlier = [run for run in own.runs if run.stage is Stage.SEARCH and batches[run.trial] < pack.batch]
        return Pruning(
            steps=workload.rungs,
            limits=rung_limits(len(workload.rungs), earlier, protocol.direction),
            objective=protocol.objective,
            direction=protocol.direction,
        )


def _run(pack: Pack, lane: int, result: PackResult) -> Run:
    measured = result.measurements[lane]
    return Run(
        workload=pack.workload,
        arm=pack.arm,
        trial=pack.lanes[lane].trial,
        seed=pack.lanes[lane].seed,
        stage=pack.stage,
        outcome=_outcome(measured),
        steps=measured.steps,
        start_loss=measured.start_loss,
        train_loss=measured.train_loss,
        metrics=measured.metrics,
        rungs=measured.rungs,
        pack=pack.number,
        lane=lane,
        series=measured.series,
    )


def _outcome(measured: Measurement) -> Outcome:
    if measured.diverged:
        return Outcome.DIVERGED
    return Outcome.STOPPED if measured.stopped else Outcome.FINISHED
