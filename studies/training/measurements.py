"""The history that a pack's training loop records, and the measurements of its lanes."""

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

#: The most points of a series, evenly spaced.
MAX_POINTS = 200
#: Steps that are written to the history at once.
BLOCK_STEPS = 256


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured of one lane.

    Args:
        steps: Steps trained, fewer than requested if it diverged.
        diverged: Whether its loss or its parameters became infinite or NaN.
        stopped: Whether it was pruned at a rung.
        start_loss: Training loss before the first step.
        train_loss: Mean training loss over the last epoch; +inf if it diverged.
        metrics: Final `validation_*` and `test_*` values; empty if it diverged.
        rungs: Its scores at the rungs.
        series: Values over the steps.
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
    """The content of a `History` after some steps, on the CPU.

    Args:
        losses: Losses of the steps taken, (steps, runs).
        rates: Effective learning rates, (steps, runs).
        evaluations: Values on validation and test data, each with the step after which they were measured.
        scores: Every run's scores at the rungs that it reached.
        stopped: Whether each run was pruned.
        survived: Whether the final parameters of each finished run are finite.
        params: Parameters and buffers of the finished runs.
    """

    losses: Tensor
    rates: Tensor
    evaluations: list[tuple[int, dict[str, Tensor]]]
    scores: list[tuple[float, ...]]
    stopped: list[bool]
    survived: list[bool]
    params: list[Tensors]


@final
class History:
    """What a pack's loop records; finished runs keep their values.

    Args:
        task: What is trained.
        names: The names of parameters and buffers.
        device: Device of the training.
    """

    def __init__(self, task: Task, names: Sequence[str], device: str) -> None:
        """Start with an empty history."""
        lanes = len(task.lanes)
        self.task, self.names = task, tuple(names)
        self.losses = torch.full((task.steps, lanes), float("nan"), dtype=torch.float64, device=device)
        self.rates = torch.full_like(self.losses, float("nan"))
        self.evaluations: list[tuple[int, dict[str, Tensor]]] = []
        self.scores: list[tuple[float, ...]] = [()] * lanes
        self.stopped = [False] * lanes
        self.survived = [False] * lanes
        self.params: list[Tensors] = [()] * lanes
        self._block: list[tuple[Tensor, Tensor]] = []
        self._block_start = 0

    def add_step(self, active_runs: Sequence[int], losses: Tensor, rates: Tensor) -> None:
        """Record the next step.

        Args:
            active_runs: The runs in training, in lane order; the same until some finish.
            losses: Batch losses before the step, (lanes,); lanes beyond the runs are ignored.
            rates: Effective learning rates, (lanes,).
        """
        self._block.append((losses, rates))
        if len(self._block) == BLOCK_STEPS:
            self.flush(active_runs)

    def flush(self, active_runs: Sequence[int]) -> None:
        """Write the buffered steps into the history at once: an operation for each would cost as much as its step."""
        if not self._block:
            return
        steps = slice(self._block_start, self._block_start + len(self._block))
        for history, values in zip((self.losses, self.rates), zip(*self._block, strict=True), strict=True):
            history[steps, active_runs] = torch.stack(values)[:, : len(active_runs)]
        self._block, self._block_start = [], steps.stop

    def add_evaluation(self, step: int, active_runs: Sequence[int], metrics: Mapping[str, Tensor]) -> None:
        """Record the values on validation and test data after a step, counting from 1."""
        of_all_runs: dict[str, Tensor] = {}
        for name, values in metrics.items():
            of_all_runs[name] = torch.full((len(self.scores),), float("nan"), dtype=torch.float64)
            of_all_runs[name][active_runs] = values[: len(active_runs)].double().cpu()
        self.evaluations.append((step, of_all_runs))

    def score(self, step: int, run: int, objective: str) -> float:
        """Return a run's value of the objective after a step that was just evaluated, counting from 1."""
        if objective == "train_loss":
            # contiguous, since a mean over strided values rounds differently, and would depend on the pack's size
            return float(self.losses[max(0, step - self.task.steps_per_epoch) : step, run].cpu().contiguous().mean())
        return float(self.evaluations[-1][1][objective][run])

    def add_rung_score(self, run: int, score: float, *, stopped: bool) -> None:
        """Record a run's score at a rung, and whether it was pruned there."""
        self.scores[run] = (*self.scores[run], score)
        self.stopped[run] = stopped

    def add_final_parameters(self, active_runs: Sequence[int], lanes: Lanes) -> None:
        """Record the lanes' parameters, when at least one of the runs is finished."""
        self.flush(active_runs)
        params = tuple(tensor.cpu() for tensor in (*lanes.params, *lanes.buffers))
        finite = torch.stack([param.reshape(len(param), -1).isfinite().all(1) for param in lanes.params]).all(0)
        survived: list[bool] = (lanes.alive & finite).tolist()
        for lane, run in enumerate(active_runs):
            self.survived[run], self.params[run] = survived[lane], tuple(tensor[lane].clone() for tensor in params)

    def snapshot(self, active_runs: Sequence[int]) -> HistorySnapshot:
        """Return the content, for `restore`; it must not be changed."""
        self.flush(active_runs)
        return HistorySnapshot(
            losses=self.losses[: self._block_start].clone().cpu(),
            rates=self.rates[: self._block_start].clone().cpu(),
            evaluations=self.evaluations,
            scores=self.scores,
            stopped=self.stopped,
            survived=self.survived,
            params=self.params,
        )

    def restore(self, snapshot: HistorySnapshot) -> None:
        """Continue from a snapshot of the same task's history."""
        self._block_start = len(snapshot.losses)
        self.losses[: self._block_start] = snapshot.losses.to(self.losses.device)
        self.rates[: self._block_start] = snapshot.rates.to(self.rates.device)
        self.evaluations, self.scores = snapshot.evaluations, snapshot.scores
        self.stopped, self.survived, self.params = snapshot.stopped, snapshot.survived, snapshot.params


def build_measurements(history: History) -> tuple[Measurement, ...]:
    """Return what was measured, in lane order.

    Args:
        history: What the loop recorded.
    """
    task = history.task
    # contiguous, since a mean over strided values rounds differently, and would depend on the pack's size
    losses, rates = history.losses.cpu().T.contiguous(), history.rates.cpu().T.contiguous()
    measurements: list[Measurement] = []
    for lane, lane_losses in enumerate(losses):
        nonfinite = (~lane_losses.isfinite()).nonzero()
        # the loss is measured before the update: one that is not finite comes from the step before
        steps = int(nonfinite[0]) if len(nonfinite) else task.steps
        diverged = not history.survived[lane]
        evaluations = [(step, metrics) for step, metrics in history.evaluations if step <= steps]
        final = {name: float(value[lane]) for name, value in evaluations[-1][1].items()} if evaluations else {}
        last_epoch = lane_losses[max(0, steps - task.steps_per_epoch) : steps]
        measurements.append(
            Measurement(
                steps=steps,
                diverged=diverged,
                stopped=history.stopped[lane],
                start_loss=float(lane_losses[0]),
                train_loss=math.inf if diverged else float(last_epoch.mean()),
                metrics={} if diverged else final,
                rungs=history.scores[lane],
                series=(
                    *_step_series("train_loss", lane_losses[:steps], task.steps, task.steps_per_epoch),
                    *_step_series("effective_lr", rates[lane, :steps], task.steps, 1),
                    *_evaluation_series(evaluations, lane),
                ),
                parameters=dict(zip(history.names, history.params[lane], strict=True)),
            )
        )
    return tuple(measurements)


def _evaluation_series(evaluations: Sequence[tuple[int, Mapping[str, Tensor]]], lane: int) -> list[Series]:
    """Return the series of validation and test values."""
    if not evaluations:
        return []
    steps = tuple(step for step, _ in evaluations)
    return [
        Series(name=name, steps=steps, values=tuple(float(metrics[name][lane]) for _, metrics in evaluations))
        for name in evaluations[0][1]
    ]


def _step_series(name: str, values: Tensor, steps: int, epoch: int) -> list[Series]:
    """Return a series of at most `MAX_POINTS` means, each over its stride or, if shorter, over an epoch.

    Empty if the lane took no step.
    """
    if not len(values):
        return []
    stride = -(-steps // MAX_POINTS)
    window = min(stride, epoch)
    ends = sorted({*range(stride, len(values) + 1, stride), len(values)})
    means = tuple(float(values[max(0, end - window) : end].mean()) for end in ends)
    return [Series(name=name, steps=tuple(ends), values=means)]
