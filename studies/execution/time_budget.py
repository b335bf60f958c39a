"""Budgets of seconds and GPU-hours, and the cost of the confirm runs that must fit into them."""

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

#: Least seconds between two reads of the elapsed time.
POLL_SECONDS = 0.5

#: The rows of a study, by (workload, arm).
RowsByArm = Mapping[tuple[str, str], Rows]
_NO_COST = TimeCost(pack_seconds=0.0, seconds=0.0)


@final
class TimeBudget:
    """The budget of seconds and GPU-hours of a study.

    Args:
        spec: The study.
        ledger: Knows for how long the study has been RUNNING.
        site: Where the study is trained.
    """

    def __init__(self, spec: StudySpec, ledger: Ledger, site: TrainingSite) -> None:
        """Start without an elapsed time; it is read at the first call."""
        self._budget, self._ledger, self._site = spec.protocol.budget, ledger, site
        self._elapsed, self._next_poll = 0.0, 0.0

    def reached_limit(self, pack_seconds: float, reserve: TimeCost = _NO_COST) -> Limit | None:
        """Return a budget that is used up except for a reserve of at most half of it; None if none is.

        Args:
            pack_seconds: Total seconds of the packs that are done.
            reserve: Time that is still needed.
        """
        budget = self._budget
        if budget is None:
            return None
        if budget.seconds is not None and self._elapsed_seconds() >= (
            budget.seconds - min(reserve.seconds, budget.seconds / 2)
        ):
            return Limit.SECONDS
        if budget.gpu_hours is not None and self._site.gpus > 0:
            max_pack_seconds = 3600 * budget.gpu_hours / self._site.gpus
            if pack_seconds >= max_pack_seconds - min(reserve.pack_seconds, max_pack_seconds / 2):
                return Limit.GPU_HOURS
        return None

    def _elapsed_seconds(self) -> float:
        if time.monotonic() >= self._next_poll:
            self._elapsed = self._ledger.elapsed_seconds()
            self._next_poll = time.monotonic() + POLL_SECONDS
        return self._elapsed


def has_open_searches(spec: StudySpec, rows: RowsByArm) -> bool:
    """Return whether any search is not done.

    Args:
        spec: The study.
        rows: Its rows.
    """
    return any(
        not replay_search(spec, rows.get(key, Rows()), *key).done for key in spec.pairs if spec.arm(key[1]).search
    )


def has_untrained_runs(spec: StudySpec, rows: RowsByArm, training: Container[int]) -> bool:
    """Return whether any confirm run is neither done nor in training.

    Args:
        spec: The study.
        rows: Its rows.
        training: The numbers of the packs in training.
    """
    return any(
        _started_confirm_runs(rows.get(key, Rows()), training) < spec.protocol.confirm_seeds for key in spec.pairs
    )


def confirm_cost(
    spec: StudySpec,
    rows: RowsByArm,
    training: Container[int],
    speeds: Mapping[tuple[str, str], Sequence[Speed]],
    workers: int,
) -> TimeCost:
    """Return the time that the search packs in training and the remaining confirm runs take, by measured speeds.

    If the packs that are done took longer than their speeds predict, as on a busy machine, the cost is scaled up.

    Args:
        spec: The study.
        rows: Its rows.
        training: The numbers of the packs in training.
        speeds: Measured speeds, by (workload, arm); a missing one counts as no cost.
        workers: Number of packs that train at the same time.
    """
    costs = [
        stage_cost(
            known,
            spec.protocol.confirm_seeds - _started_confirm_runs(rows.get(key, Rows()), ()),
            spec.workload(key[0]).steps,
            workers,
        )
        for key, known in speeds.items()
    ]
    costs += [
        _pack_cost(spec, pack, known)
        for key, known in speeds.items()
        for pack in rows.get(key, Rows()).packs
        if pack.stage is Stage.SEARCH and pack.number in training
    ]
    slowdown = _slowdown(spec, rows, speeds)
    pack_seconds = slowdown * math.fsum(cost.pack_seconds for cost in costs)
    longest = slowdown * max((cost.seconds for cost in costs), default=0.0)
    return TimeCost(pack_seconds=pack_seconds, seconds=max(pack_seconds / workers, longest))


def _slowdown(spec: StudySpec, rows: RowsByArm, speeds: Mapping[tuple[str, str], Sequence[Speed]]) -> float:
    """Return the ratio of the actual to the predicted time of the packs that are done; at least 1."""
    actual = predicted = 0.0
    for key, known in speeds.items():
        for pack in rows.get(key, Rows()).packs:
            if pack.seconds is not None:
                actual += pack.seconds
                predicted += _pack_cost(spec, pack, known).pack_seconds
    return max(1.0, actual / predicted) if predicted else 1.0


def _pack_cost(spec: StudySpec, pack: Pack, known: Sequence[Speed]) -> TimeCost:
    return stage_cost(known, len(pack.lanes), spec.workload(pack.workload).length(pack.stage), 1)


def _started_confirm_runs(rows: Rows, training: Container[int]) -> int:
    """Return how many confirm runs of an arm on a workload are done or in training."""
    started = [pack for pack in rows.packs if pack.stage is Stage.CONFIRM and (pack.done or pack.number in training)]
    return sum(len(pack.lanes) for pack in started)
