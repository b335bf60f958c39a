"""What a study has spent of its budget of seconds and GPU-hours, charged as they pass."""

import math
import time
from collections.abc import Container, Mapping, Sequence
from typing import final

from studies.execution.jobs import TrainingSite
from studies.execution.ledger import Ledger
from studies.planning.estimate import TimeCost, stage_cost
from studies.planning.throughput import Speed
from studies.records.rows import Limit, Pack, Rows
from studies.search.selection import replay_search
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

#: The time that passed is asked for so often at most.
POLL_SECONDS = 0.5

#: The rows of a study, by (workload, arm).
RowsByArm = Mapping[tuple[str, str], Rows]
_NO_COST = TimeCost(pack_seconds=0.0, seconds=0.0)


@final
class TimeBudget:
    """Says which budget of time a study has reached.

    Args:
        spec: The study.
        ledger: What knows for how long it has been RUNNING.
        place: Where it is trained.
    """

    def __init__(self, spec: StudySpec, ledger: Ledger, place: TrainingSite) -> None:
        """Look at the first call."""
        self._budget, self._ledger, self._place = spec.protocol.budget, ledger, place
        self._elapsed, self._next = 0.0, 0.0

    def reached_limit(self, pack_seconds: float, reserve: TimeCost = _NO_COST) -> Limit | None:
        """Return a budget that is used up but for a reserve, which is half of it at most; None where none is.

        Args:
            pack_seconds: Seconds of the packs that are done, together.
            reserve: What is still needed.
        """
        budget = self._budget
        if budget is None:
            return None
        if budget.seconds is not None and self._time() >= budget.seconds - min(reserve.seconds, budget.seconds / 2):
            return Limit.SECONDS
        if budget.gpu_hours is not None and self._place.gpus > 0:
            given = 3600 * budget.gpu_hours / self._place.gpus
            if pack_seconds >= given - min(reserve.pack_seconds, given / 2):
                return Limit.GPU_HOURS
        return None

    def _time(self) -> float:
        if time.monotonic() >= self._next:
            self._elapsed = self._ledger.elapsed_seconds()
            self._next = time.monotonic() + POLL_SECONDS
        return self._elapsed


def has_open_searches(spec: StudySpec, rows: RowsByArm) -> bool:
    """Say whether any search has trials to come, or in training.

    Args:
        spec: The study.
        rows: Its rows.
    """
    return any(
        not replay_search(spec, rows.get(key, Rows()), *key).done for key in spec.pairs if spec.arm(key[1]).search
    )


def has_untrained_runs(spec: StudySpec, rows: RowsByArm, training: Container[int]) -> bool:
    """Say whether anything has neither been trained nor is in training.

    Args:
        spec: The study.
        rows: Its rows.
        training: The numbers of the packs in training.
    """
    return any(_confirm_runs_begun(rows.get(key, Rows()), training) < spec.protocol.confirm_seeds for key in spec.pairs)


def confirm_cost(
    spec: StudySpec,
    rows: RowsByArm,
    training: Container[int],
    speeds: Mapping[tuple[str, str], Sequence[Speed]],
    workers: int,
) -> TimeCost:
    """Return what is in training and the confirm runs that are not done take, by what is known of their speeds.

    If the packs that are done took longer than by those speeds, as on a busy machine, so will these.

    Args:
        spec: The study.
        rows: Its rows.
        training: The numbers of the packs in training.
        speeds: What was measured, by (workload, arm); what was not counts nothing.
        workers: Packs that are trained at once.
    """
    found = [
        stage_cost(
            known,
            spec.protocol.confirm_seeds - _confirm_runs_begun(rows.get(key, Rows()), ()),
            spec.workload(key[0]).steps,
            workers,
        )
        for key, known in speeds.items()
    ]
    found += [
        _pack_cost(spec, pack, known)
        for key, known in speeds.items()
        for pack in rows.get(key, Rows()).packs
        if pack.stage is Stage.SEARCH and pack.number in training
    ]
    slower = _slowdown(spec, rows, speeds)
    pack_seconds = slower * math.fsum(each.pack_seconds for each in found)
    longest = slower * max((each.seconds for each in found), default=0.0)
    return TimeCost(pack_seconds=pack_seconds, seconds=max(pack_seconds / workers, longest))


def _slowdown(spec: StudySpec, rows: RowsByArm, speeds: Mapping[tuple[str, str], Sequence[Speed]]) -> float:
    """Return how many times as long as by their speeds the packs that are done took; at least 1."""
    taken = expected = 0.0
    for key, known in speeds.items():
        for pack in rows.get(key, Rows()).packs:
            if pack.seconds is not None:
                taken += pack.seconds
                expected += _pack_cost(spec, pack, known).pack_seconds
    return max(1.0, taken / expected) if expected else 1.0


def _pack_cost(spec: StudySpec, pack: Pack, known: Sequence[Speed]) -> TimeCost:
    return stage_cost(known, len(pack.lanes), spec.workload(pack.workload).length(pack.stage), 1)


def _confirm_runs_begun(own: Rows, training: Container[int]) -> int:
    """Return how many confirm runs of an arm on a workload are done or in training."""
    begun = [pack for pack in own.packs if pack.stage is Stage.CONFIRM and (pack.done or pack.number in training)]
    return sum(len(pack.lanes) for pack in begun)
