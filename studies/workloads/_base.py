"""The declaration of a workload: its data, model, initialisation, loss and metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from studies.errors import InvalidValueError
from studies.optimizers._base import Tensors
from studies.spec.parameters import STEP_SECONDS, Direction, Metric, Option

#: Values of a workload's options by name.
Options = Mapping[str, float | int | str]


class Examples(NamedTuple):
    """Inputs and targets; the first axis of both is that of the examples."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class Data:
    """The examples of a workload.

    Args:
        train: Training data.
        validation: Validation data, for selection; None if there are none.
        test: Test data, on which only confirm runs are measured; None if there are none.
    """

    train: Examples
    validation: Examples | None = None
    test: Examples | None = None


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file of a data set.

    Args:
        path: Its path, relative to the data directory.
        url: Address to download it from, or an archive that contains it at `path`.
        md5: Its published MD5.
        archive_md5: The archive's published MD5; empty if `url` is the file itself.
    """

    path: str
    url: str
    md5: str
    archive_md5: str = ""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric with the function that measures it.

    Args:
        metric: Its name, direction and summary.
        function: From (outputs, targets) to the mean over the examples; 0-dim.
    """

    metric: Metric
    function: Callable[[Tensor, Tensor], Tensor]


def _no_files(options: Options) -> tuple[DataFile, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A workload.

    Args:
        summary: One sentence that names the source.
        options: Options that a study can set. `batch_size` is the number of examples of a step; without this option a
            step uses all. `train_examples` is the number of training examples.
        default_steps: Length of a run if the study sets none.
        epoch_examples: Training examples of an epoch, unless `train_examples` is an option; 1 if every step uses all.
        lanes: Lanes of a pack with which probes start: about the fastest number on a CPU.
        step_seconds: Rough seconds of a step of one lane in such a pack, on one core and with the default options. It
            gives a study's estimate until the workload has been measured.
        dtype: Dtype of parameters, and of inputs other than bytes.
        data_per_seed: Whether every seed draws its own data.
        replacement: Whether batches are drawn with replacement instead of in shuffled passes.
        has_validation: Whether there are validation data.
        files: From options to the data set's files; they are in the data directory when `data` is called.
        data: From (options, data directory, generator) to the data; the generator is for `data_per_seed`.
        augment: From (a lane's batch of inputs, generator) to the augmented inputs; None for no augmentation.
        noise: From (options, generator) to the noise of a training step, such as dropout: the module's second input,
            which measurements leave out. None for a module with one input.
        model: From options to the module.
        initialise: Sets all of the module's parameters and buffers in place, drawing from the generator.
        loss: From (outputs, targets) to the loss; 0-dim.
        penalty: From the parameters to a term that is added to the training loss; 0-dim. None for no term.
        measures: Metrics on validation and test data besides the loss.
    """

    summary: str
    options: tuple[Option, ...]
    default_steps: int
    epoch_examples: int
    lanes: int
    step_seconds: float = STEP_SECONDS
    dtype: torch.dtype = torch.float32
    data_per_seed: bool = False
    replacement: bool = False
    has_validation: bool = False
    files: Callable[[Options], tuple[DataFile, ...]] = _no_files
    data: Callable[[Options, Path, torch.Generator], Data]
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    noise: Callable[[Options, torch.Generator], Tensor] | None = None
    model: Callable[[Options], nn.Module]
    initialise: Callable[[nn.Module, torch.Generator], None]
    loss: Callable[[Tensor, Tensor], Tensor]
    penalty: Callable[[Tensors], Tensor] | None = None
    measures: tuple[Measure, ...] = ()

    def __post_init__(self) -> None:
        """Check that a workload without batches declares no augmentation, noise or replacement."""
        if not any(option.name == "batch_size" for option in self.options) and (
            self.augment is not None or self.noise is not None or self.replacement
        ):
            raise InvalidValueError(
                "augment, noise and replacement are of batches, and the workload has no option named batch_size: "
                "add one, or leave them out"
            )


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the fraction of correctly classified examples.

    Args:
        outputs: Logits, (examples, classes).
        targets: Class indices, (examples,).
    """
    return (outputs.argmax(-1) == targets).double().mean()


#: The metric of classification workloads.
ACCURACY = Measure(
    metric=Metric(name="accuracy", direction=Direction.MAXIMIZE, summary="Fraction classified right."),
    function=accuracy,
)
