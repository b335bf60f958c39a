"""From what a pack's loop recorded to the measurements of its lanes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from studies.optimizers._base import Tensors
from studies.records.rows import Series
from studies.training.lanes import Lanes
from studies.training.task import Task

#: At most this many points of a series are kept, evenly spaced.
MAX_POINTS = 200
#: Steps that are recorded together.
BLOCK_STEPS = 256


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured of one lane.

    Args:
        steps: Steps trained, fewer than asked for where it diverged.
        diverged: Whether its loss or its parameters became infinite or NaN.
        stopped: Whether it was behind where it was judged.
        start_loss: Training loss before the first step.
        train_loss: Mean training loss over the last epoch; +inf where it diverged.
        metrics: Final `validation_*` and `test_*` values; empty where it diverged.
        rungs: Its scores where it was judged.
        series: What was followed.
        parameters: Final parameters by name, on the CPU.
    """

    steps: int
    diverged: bool
    stopped: bool
    start_loss: float
    train_loss: float
    metrics: Mapping[str, float]
    rungs: tuple[float, ...]
    series: tuple[Series, ...]
    parameters: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class HistorySnapshot:
    """What a `History` has after some steps, all of it on the CPU.

    Args:
        losses: Of the steps taken, (steps, runs).
        rates: Likewise.
        evaluated: What was measured on validation and test data, with the step after which it was.
        scores: Every run's at the rungs it has passed.
        stopped: Whether each was behind at one.
        survived: Whether each that has left is finite.
        params: Parameters and buffers of those that have left.
    """

    losses: Tensor
    rates: Tensor
    evaluated: list[tuple[int, dict[str, Tensor]]]
    scores: list[tuple[float, ...]]
    stopped: list[bool]
    survived: list[bool]
    params: list[Tensors]


@final
class History:
    """What a pack's loop records; a lane that has left keeps what it had.

    Args:
        task: What is trained.
        names: The names of parameters and buffers.
        device: Where it trains.
    """

    def __init__(self, task: Task, names: Sequence[str], device: str) -> None:
        """Start with nothing recorded."""
        lanes = len(task.lanes)
        self.task, self.names = task, tuple(names)
        self.losses = torch.full((task.steps, lanes), float("nan"), dtype=torch.float64, device=device)
        self.rates = torch.full_like(self.losses, float("nan"))
        self.evaluated: list[tuple[int, dict[str, Tensor]]] = []
        self.scores: list[tuple[float, ...]] = [()] * lanes
        self.stopped = [False] * lanes
        self.survived = [False] * lanes
        self.params: list[Tensors] = [()] * lanes
        self._block: list[tuple[Tensor, Tensor]] = []
        self._block_start = 0

    def step(self, going: Sequence[int], losses: Tensor, rates: Tensor) -> None:
        """Record the next step.

        Args:
            going: The runs in training, in the order of their places; the same until some leave.
            losses: Batch losses before the step, of these and perhaps more.
            rates: Effective learning rates, likewise.
        """
        self._block.append((losses, rates))
        if len(self._block) == BLOCK_STEPS:
            self.write(going)

    def write(self, going: Sequence[int]) -> None:
        """Write the last steps where they belong: one operation for many, since each would cost as much as a step."""
        if not self._block:
            return
        steps = slice(self._block_start, self._block_start + len(self._block))
        for kept, found in zip((self.losses, self.rates), zip(*self._block, strict=True), strict=True):
            kept[steps, going] = torch.stack(found)[:, : len(going)]
        self._block, self._block_start = [], steps.stop

    def evaluation(self, step: int, going: Sequence[int], found: Mapping[str, Tensor]) -> None:
        """Record what was measured on validation and test data after a step, counting from 1."""
        whole: dict[str, Tensor] = {}
        for name, values in found.items():
            whole[name] = torch.full((len(self.scores),), float("nan"), dtype=torch.float64)
            whole[name][going] = values[: len(going)].double().cpu()
        self.evaluated.append((step, whole))

    def score(self, step: int, run: int, objective: str) -> float:
        """Return a run's value of the objective after a step at which it was measured, counting from 1."""
        if objective == "train_loss":
            # one row a lane: a mean over strided values rounds otherwise, and would depend on the pack's size
            return float(self.losses[max(0, step - self.task.steps_per_epoch) : step, run].cpu().contiguous().mean())
        return float(self.evaluated[-1][1][objective][run])

    def judged(self, run: int, score: float, *, stopped: bool) -> None:
        """Record a run's score at a rung, and whether it was stopped there."""
        self.scores[run] = (*self.scores[run], score)
        self.stopped[run] = stopped

    def leave(self, going: Sequence[int], lanes: Lanes) -> None:
        """Record the lanes as they are, of runs of which at least one trains no longer."""
        self.write(going)
        params = tuple(each.cpu() for each in (*lanes.params, *lanes.buffers))
        finite = torch.stack([each.reshape(len(each), -1).isfinite().all(1) for each in lanes.params]).all(0)
        survived: list[bool] = (lanes.alive & finite).tolist()
        for place, run in enumerate(going):
            self.survived[run], self.params[run] = survived[place], tuple(each[place].clone() for each in params)

    def so_far(self, going: Sequence[int]) -> HistorySnapshot:
        """Return what was recorded, for `resume`; nothing of it may be changed."""
        self.write(going)
        return HistorySnapshot(
            losses=self.losses[: self._block_start].clone().cpu(),
            rates=self.rates[: self._block_start].clone().cpu(),
            evaluated=self.evaluated,
            scores=self.scores,
            stopped=self.stopped,
            survived=self.survived,
            params=self.params,
        )

    def resume(self, recorded: HistorySnapshot) -> None:
        """Go on from what was recorded, of the same task."""
        self._block_start = len(recorded.losses)
        self.losses[: self._block_start] = recorded.losses.to(self.losses.device)
        self.rates[: self._block_start] = recorded.rates.to(self.rates.device)
        self.evaluated, self.scores = recorded.evaluated, recorded.scores
        self.stopped, self.survived, self.params = recorded.stopped, recorded.survived, recorded.params


def build_measurements(record: History) -> tuple[Measurement, ...]:
    """Return what was measured, in lane order.

    Args:
        record: What the loop recorded.
    """
    task = record.task
    # one row a lane: a mean over strided values rounds otherwise, and would depend on the pack's size
    losses, rates = record.losses.cpu().T.contiguous(), record.rates.cpu().T.contiguous()
    measured: list[Measurement] = []
    for lane, own in enumerate(losses):
        bad = (~own.isfinite()).nonzero()
        # the loss is taken before the update: one that is not finite was made so by the step before
        steps = int(bad[0]) if len(bad) else task.steps
        diverged = not record.survived[lane]
        points = [(step, found) for step, found in record.evaluated if step <= steps]
        final = {name: float(value[lane]) for name, value in points[-1][1].items()} if points else {}
        measured.append(
            Measurement(
                steps=steps,
                diverged=diverged,
                stopped=record.stopped[lane],
                start_loss=float(own[0]),
                train_loss=math.inf if diverged else float(own[max(0, steps - task.steps_per_epoch) : steps].mean()),
                metrics={} if diverged else final,
                rungs=record.scores[lane],
                series=(
                    *_windowed("train_loss", own[:steps], task.steps, task.steps_per_epoch),
                    *_windowed("effective_lr", rates[lane, :steps], task.steps, 1),
                    *_measured(points, lane),
                ),
                parameters=dict(zip(record.names, record.params[lane], strict=True)),
            )
        )
    return tuple(measured)


def _measured(points: Sequence[tuple[int, Mapping[str, Tensor]]], lane: int) -> list[Series]:
    """Return the series of validation and test values, as far as the lane trained."""
    if not points:
        return []
    held = tuple(step for step, _ in points)
    return [
        Series(name=name, steps=held, values=tuple(float(found[name][lane]) for _, found in points))
        for name in points[0][1]
    ]


def _windowed(name: str, values: Tensor, steps: int, epoch: int) -> list[Series]:
    """Return a series of at most `MAX_POINTS` means, each over its stride or, if shorter, over an epoch.

    Nothing where the lane never took a step.
    """
    if not len(values):
        return []
    stride = -(-steps // MAX_POINTS)
    window = min(stride, epoch)
    held = sorted({*range(stride, len(values) + 1, stride), len(values)})
    means = tuple(float(values[max(0, end - window) : end].mean()) for end in held)
    return [Series(name=name, steps=tuple(held), values=means)]
