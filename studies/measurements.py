"""From what a pack's loop recorded to the measurements of its lanes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from studies.optimizer import Tensors
from studies.rows import Series

#: At most this many points of a series are kept, evenly spaced.
POINTS = 200


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured of one lane.

    Args:
        steps: Steps trained, fewer than asked for where it diverged.
        diverged: Whether its loss or its parameters became infinite or NaN.
        start_loss: Training loss before the first step.
        train_loss: Mean training loss over the last epoch; +inf where it diverged.
        metrics: Final `validation_*` and `test_*` values; empty where it diverged.
        series: What was followed.
        parameters: Final parameters by name, on the CPU.
    """

    steps: int
    diverged: bool
    start_loss: float
    train_loss: float
    metrics: Mapping[str, float]
    series: tuple[Series, ...]
    parameters: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a pack's loop recorded, every tensor with the lane axis named.

    Args:
        steps: Length of a run.
        steps_per_epoch: Steps of an epoch.
        losses: Batch loss before each step, (steps, lanes).
        rates: Effective learning rate of each step, (steps, lanes).
        evaluated: After which step what was measured on validation and test data, (lanes,) each.
        survived: Whether each lane never diverged, (lanes,).
        names: The parameters' names.
        params: Final parameters, the lane axis in front.
    """

    steps: int
    steps_per_epoch: int
    losses: Tensor
    rates: Tensor
    evaluated: Sequence[tuple[int, Mapping[str, Tensor]]]
    survived: Tensor
    names: Sequence[str]
    params: Tensors


def measurements(record: Record) -> tuple[Measurement, ...]:
    """Return what was measured, in lane order.

    Args:
        record: What the loop recorded.
    """
    # one row a lane: a mean over strided values rounds otherwise, and would depend on the pack's size
    losses, rates = record.losses.cpu().T.contiguous(), record.rates.cpu().T.contiguous()
    survived = record.survived.cpu()
    at = [(step, {name: value.cpu() for name, value in found.items()}) for step, found in record.evaluated]
    params = tuple(p.cpu() for p in record.params)
    measured: list[Measurement] = []
    for lane, own in enumerate(losses):
        bad = (~own.isfinite()).nonzero()
        # the loss is taken before the update: one that is not finite was made so by the step before
        steps = int(bad[0]) if len(bad) else record.steps
        diverged = not bool(survived[lane])
        measured.append(
            Measurement(
                steps=steps,
                diverged=diverged,
                start_loss=float(own[0]),
                train_loss=float("inf") if diverged else float(own[-record.steps_per_epoch :].mean()),
                metrics={name: float(value[lane]) for name, value in at[-1][1].items()} if at and not diverged else {},
                series=(
                    *_windowed("train_loss", own[:steps], record.steps, record.steps_per_epoch),
                    *_windowed("effective_lr", rates[lane, :steps], record.steps, 1),
                    *_measured(at, lane, steps),
                ),
                parameters={name: p[lane].clone() for name, p in zip(record.names, params, strict=True)},
            )
        )
    return tuple(measured)


def _measured(at: Sequence[tuple[int, Mapping[str, Tensor]]], lane: int, steps: int) -> list[Series]:
    """Return the series of validation and test values, as far as the lane trained."""
    points = [(step, found) for step, found in at if step <= steps]
    if not points:
        return []
    held = tuple(step for step, _ in points)
    return [
        Series(name=name, steps=held, values=tuple(float(found[name][lane]) for _, found in points))
        for name in points[0][1]
    ]


def _windowed(name: str, values: Tensor, steps: int, epoch: int) -> list[Series]:
    """Return a series of at most `POINTS` points, each the mean over its stride, or over an epoch if that is shorter.

    Nothing where the lane never took a step.
    """
    if not len(values):
        return []
    stride = -(-steps // POINTS)
    window = min(stride, epoch)
    held = sorted({*range(stride, len(values) + 1, stride), len(values)})
    means = tuple(float(values[max(0, end - window) : end].mean()) for end in held)
    return [Series(name=name, steps=tuple(held), values=means)]
