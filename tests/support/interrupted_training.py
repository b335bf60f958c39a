"""Training that is cut off after some steps, and goes on from its checkpoint's file alone."""

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

#: Trains a pack by steppers so made, keeping checkpoints so.
Train = Callable[[StepperFactory, CheckpointWriter | None], tuple[Measurement, ...]]


class CutError(Exception):
    """The end of a process."""


@dataclass
class CountingStepperFactory:
    """Makes steppers that count, and that end at the step after so many, as a process that dies does.

    Args:
        make: Makes what takes the steps.
        most: How many.
        taken: How many were taken.
        widths: Lanes of each stepper that was made.
    """

    make: StepperFactory
    most: float = math.inf
    taken: int = 0
    widths: list[int] = field(default_factory=list[int])

    def __call__(self, step: StackedStep, lanes: Lanes) -> Stepper:
        """Make one."""
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


def checkpoint_writer(folder: Path, what: str = "this") -> CheckpointWriter:
    """Return what keeps a checkpoint before every step but the first.

    Args:
        folder: Where.
        what: What is trained.
    """
    return CheckpointWriter(folder / "pack-00000.checkpoint", what, interval=0.0, max_time_share=math.inf)


def train_in_parts(
    train: Train, make: StepperFactory, cuts: Sequence[int], folder: Path
) -> tuple[tuple[Measurement, ...], CountingStepperFactory]:
    """Train a pack in several processes' stead, and return what was measured and what the last one did.

    Args:
        train: Trains it.
        make: Makes its steppers.
        cuts: After how many steps of the whole each but the last is cut off, in order; more than there are is an error.
        folder: Where checkpoints are kept.
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
