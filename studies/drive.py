"""Driving one study: from its spec and its rows to all its runs, pack by pack."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from studies import plan
from studies.calibrate import Probe
from studies.checkpoints import Checkpoints
from studies.choose import Search
from studies.errors import PackFailedError
from studies.measurements import Measurement
from studies.pacing import Pacing, Place
from studies.rows import Ledger, Outcome, Pack, Rows, Run, Stage, by_arm
from studies.rungs import limits
from studies.search import suggest
from studies.spec import ArmSpec, StudySpec, WorkloadSpec
from studies.speeds import Speed
from studies.task import Judged, LaneTask
from studies.tasks import task_of
from studies.weights import Weights
from studies.worker import Failure, Job, Trained

log = logging.getLogger(__name__)

#: A pack whose worker died is handed out again this often, and as often again once it has got further.
RETRIES = 2


class Driver:
    """Hands out a study's packs and writes what comes back; the `Source` of a cluster.

    Args:
        spec: The study.
        ledger: Its rows.
        place: Where it is trained.
        weights: Where final parameters of confirm runs wait for MLflow.
        checkpoints: From where packs go on whose workers died.
        paused: Asked all the time: whether nothing new may be handed out now.
    """

    def __init__(
        self,
        *,
        spec: StudySpec,
        ledger: Ledger,
        place: Place,
        weights: Weights,
        checkpoints: Checkpoints,
        paused: Callable[[], bool],
    ) -> None:
        """Read the rows: what an earlier driver planned and did not finish is handed out first."""
        self._spec, self._ledger, self._place, self._weights = spec, ledger, place, weights
        self._checkpoints, self._paused = checkpoints, paused
        rows = ledger.rows()
        self._rows = by_arm(rows)
        self._waiting = [pack for pack in rows.packs if not pack.done]
        self._training: dict[int, Pack] = {}
        self._tries: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._pacing = Pacing(spec, ledger, place)

    def complete(self) -> bool:
        """Whether all of the study is trained."""
        self._plan()
        return not self._waiting and not self._training and not self._pacing.asking

    def finished(self) -> bool:
        """Whether there is nothing left to hand out, now or later."""
        if self._paused():
            return not self._training and not self._pacing.measuring
        return self.complete()

    def take(self) -> Job | Probe | None:
        """Return the next pack or probe, or None where it depends on what is being trained or measured."""
        if self._paused():
            return None
        self._plan()
        if not self._waiting:
            return self._pacing.take()
        pack = self._waiting.pop(0)
        self._training[pack.number] = pack
        return self._job(pack)

    def trained(self, pack: int, result: Trained) -> None:
        """Write a pack's runs, in one transaction."""
        done = replace(self._training.pop(pack), done=True, mode=result.mode, seconds=result.seconds, host=result.host)
        runs = tuple(_run(done, lane, result) for lane in range(len(done.lanes)))
        if done.stage is Stage.CONFIRM:
            # before the rows: a run in the database always has its parameters
            for run, parameters in zip(runs, result.parameters, strict=True):
                self._weights.save(run, parameters)
        self._ledger.finish_pack(done, runs)
        self._checkpoints.drop(pack)
        log.info("pack %s: %s %s %s, %s runs", pack, done.workload, done.arm, done.stage, len(runs))
        own = self._rows[done.workload, done.arm]
        packs = tuple(done if each.number == pack else each for each in own.packs)
        kept = tuple(replace(run, series=()) for run in runs)
        self._rows[done.workload, done.arm] = replace(own, packs=packs, runs=own.runs + kept)

    def measured(self, probe: int, speeds: Sequence[Speed]) -> None:
        """Take what a probe found, for this study and those to come."""
        self._pacing.measured(probe, speeds)

    def failed(self, number: int, reason: str, failure: Failure) -> None:
        """Hand a lost pack or probe out again, halve one that did not fit into memory, or give the study up.

        Raises:
            PackFailedError: Where trying again is of no use.
        """
        if number not in self._training:
            self._pacing.failed(number, reason, failure)
            return
        failed = self._training.pop(number)
        if failure is Failure.MEMORY and len(failed.lanes) > 1:
            log.warning("pack %s is halved: %s", number, reason)
            self._halve(failed)
            return
        before, written = self._written.get(number, 0), self._checkpoints.written(number)
        tries = 1 if written > before else self._tries.get(number, 0) + 1
        self._tries[number], self._written[number] = tries, written
        if failure is not Failure.LOST or tries > RETRIES:
            raise PackFailedError(f"{failed.arm} on {failed.workload} ({failed.stage}): {reason}")
        log.warning("pack %s is handed out again: %s", number, reason)
        self._waiting.insert(0, failed)

    def _halve(self, pack: Pack) -> None:
        self._pacing.too_large(pack.workload, pack.arm, pack.width or len(pack.lanes))
        middle = -(-len(pack.lanes) // 2)
        smaller = replace(pack, width=None if pack.width is None else -(-pack.width // 2))
        first = replace(smaller, lanes=pack.lanes[:middle])
        number = sum(len(own.packs) for own in self._rows.values())
        second = replace(smaller, lanes=pack.lanes[middle:], number=number)
        self._ledger.split_pack(first, second)
        self._checkpoints.drop(pack.number)
        own = self._rows[pack.workload, pack.arm]
        packs = tuple(first if each.number == pack.number else each for each in own.packs)
        self._rows[pack.workload, pack.arm] = replace(own, packs=(*packs, second))
        self._waiting = [first, second, *self._waiting]

    def _plan(self) -> None:
        if self._waiting:
            return
        added = plan.additions(self._spec, self._rows, self._pacing.known, self._suggest)
        if not added.packs:
            return
        self._ledger.add_plan(added.trials, added.packs)
        for key, new in by_arm(Rows(trials=added.trials, packs=added.packs)).items():
            own = self._rows.get(key, Rows())
            self._rows[key] = replace(own, trials=own.trials + new.trials, packs=own.packs + new.packs)
        self._waiting += added.packs

    def _suggest(
        self, workload: WorkloadSpec, arm: ArmSpec, found: Search, batch: int, count: int
    ) -> tuple[Mapping[str, float], ...]:
        return suggest(self._spec, workload, arm, found, batch, count)

    def _job(self, pack: Pack) -> Job:
        workload, arm = self._spec.workload(pack.workload), self._spec.arm(pack.arm)
        settings = {trial.number: trial.setting for trial in self._rows[pack.workload, pack.arm].trials}
        members = [LaneTask(setting=settings[lane.trial], seed=lane.seed) for lane in pack.lanes]
        judges = pack.stage is Stage.SEARCH and workload.rungs
        task = task_of(self._spec, workload, arm, members, pack.stage)
        return Job(
            number=pack.number,
            optimizer=arm.optimizer,
            task=replace(task, judged=self._judged(workload, pack)) if judges else task,
            threads=pack.threads,
            mode=pack.mode,
            width=pack.width,
            data_dir=self._place.data_dir,
            programs=self._place.programs,
            checkpoints=self._checkpoints,
        )

    def _judged(self, workload: WorkloadSpec, pack: Pack) -> Judged:
        """Return what a pack's search runs are judged by: the runs of earlier batches, whatever else is done."""
        protocol, own = self._spec.protocol, self._rows[pack.workload, pack.arm]
        batches = {trial.number: trial.batch for trial in own.trials}
        earlier = [run for run in own.runs if run.stage is Stage.SEARCH and batches[run.trial] < pack.batch]
        return Judged(
            steps=workload.rungs,
            limits=limits(len(workload.rungs), earlier, protocol.direction),
            objective=protocol.objective,
            direction=protocol.direction,
        )


def _run(pack: Pack, lane: int, result: Trained) -> Run:
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
