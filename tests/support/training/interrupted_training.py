"""Training that is interrupted after some steps and resumes from its checkpoint file."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from torch import Tensor

from studies.optimizers._base import Setting
from studies.training.checkpoint import CheckpointWriter
from studies.training.lanes import Inputs, Lanes, StackedStep, Stepper, StepperFactory
from studies.training.measurements import Measurement

#: Trains a pack with steppers of a factory and a checkpoint writer.
Train = Callable[[StepperFactory, CheckpointWriter | None], tuple[Measurement, ...]]


class CutError(Exception):
    """Simulates the death of a process."""


@dataclass
class CountingStepperFactory:
    """Creates steppers that count their steps, and raise `CutError` after a number of steps.

    Args:
        make: Creates the underlying steppers.
        most: Number of steps before the error.
        taken: Number of steps taken.
        widths: Number of lanes of each stepper created.
    """

    make: StepperFactory
    most: float = math.inf
    taken: int = 0
    widths: list[int] = field(default_factory=list[int])

    def __call__(self, step: StackedStep, lanes: Lanes) -> Stepper:
        """Create a stepper."""
        self.widths.append(len(lanes.alive))
        return _CountingStepper(self, self.make(step, lanes))


@final
class _CountingStepper:
    def __init__(self, counted: CountingStepperFactory, stepper: Stepper) -> None:
        self._counted, self._stepper = counted, stepper

    @property
    def lanes(self) -> Lanes:
        return self._stepper.lanes

    def advance(self, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        if self._counted.taken >= self._counted.most:
            raise CutError
        self._counted.taken += 1
        return self._stepper.advance(inputs, targets, setting)


def checkpoint_writer(folder: Path, fingerprint: str = "this") -> CheckpointWriter:
    """Return a writer that saves a checkpoint before every step except the first.

    Args:
        folder: Folder of the checkpoint.
        fingerprint: Identifies the training.
    """
    return CheckpointWriter(folder / "pack-00000.checkpoint", fingerprint, interval=0.0, max_time_share=math.inf)


def train_in_parts(
    train: Train, make: StepperFactory, cuts: Sequence[int], folder: Path
) -> tuple[tuple[Measurement, ...], CountingStepperFactory]:
    """Train a pack in several parts; return its measurements and the last part's stepper factory.

    Args:
        train: Trains the pack.
        make: Creates its steppers.
        cuts: Steps of the run after which parts end, in ascending order; training must not end before a cut.
        folder: Folder of the checkpoints.
    """
    before = 0
    for cut in cuts:
        counted = CountingStepperFactory(make, most=cut - before)
        try:
            train(counted, checkpoint_writer(folder))
        except CutError:
            assert counted.taken == cut - before
        else:
            raise AssertionError(f"it ended before it was cut after {cut} steps")
        before = cut
    counted = CountingStepperFactory(make)
    return train(counted, checkpoint_writer(folder)), counted
