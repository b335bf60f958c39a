"""What a workload is here: data, a model, its initialisation, a loss and metrics, declared and not trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from studies.errors import InvalidValueError
from studies.optimizers._base import Tensors
from studies.spec.parameters import STEP_SECONDS, Direction, Metric, Option

#: Every option of the workload by name.
Options = Mapping[str, float | int | str]


class Examples(NamedTuple):
    """Inputs with their targets, both with the examples along the first axis."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class Data:
    """The examples of a workload.

    Args:
        train: What is trained on.
        validation: What decisions may read, None where there is none.
        test: What only confirm runs are measured on, None where there is none.
    """

    train: Examples
    validation: Examples | None = None
    test: Examples | None = None


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file of a data set.

    Args:
        path: Where it lies, relative to the data directory.
        url: Where it, or an archive that has it at `path`, is downloaded from when missing.
        md5: Its known hash.
        archive_md5: The archive's known hash; empty where the file comes by itself.
    """

    path: str
    url: str
    md5: str
    archive_md5: str = ""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric with the function that measures it.

    Args:
        metric: Name, direction, summary.
        function: From (outputs, targets) to the mean over the examples; 0-dim.
    """

    metric: Metric
    function: Callable[[Tensor, Tensor], Tensor]


def _no_files(options: Options) -> tuple[DataFile, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is trained, declared.

    Args:
        summary: One sentence, with the source.
        options: What a study can set; one named `batch_size` sets the examples of a step, without it a step uses all;
            one named `train_examples` sets how many there are to train on.
        default_steps: Steps of a run where a study gives none.
        epoch_examples: Training examples that make an epoch, unless `train_examples` is an option; 1 where every step
            uses all.
        lanes: Lanes of a pack from which measuring starts: about what trains fastest on a CPU.
        step_seconds: Seconds of a step of a lane in such a pack on one core, roughly, with the default options: what a
            study is estimated by as long as nothing of the workload was measured.
        dtype: Of parameters, and of inputs that are not bytes.
        data_per_seed: Whether every seed draws its own data.
        replacement: Whether every example is drawn by itself from all, instead of in shuffled passes.
        has_validation: Whether the data have a validation part.
        files: From options to the data set's files; they are in the data directory when `data` is called.
        data: From (options, data directory, generator) to the data; the generator is used where `data_per_seed`.
        augment: From (a lane's batch of inputs, generator) to what is trained on instead; None for the inputs.
        noise: From (options, generator) to what a training step is random by, as dropout: the second input of the
            module, which has only one in measurements; None where training has one as well.
        model: From options to the module.
        initialise: Sets all of the module's parameters and buffers in place, drawing from the generator.
        loss: From (outputs, targets) to the loss; 0-dim.
        penalty: From the parameters to what is added to the training loss; 0-dim. None for nothing.
        measures: What is measured on validation and test data besides the loss.
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
        """Check that what belongs to batches is declared only where there are batches."""
        if not any(option.name == "batch_size" for option in self.options) and (
            self.augment is not None or self.noise is not None or self.replacement
        ):
            raise InvalidValueError(
                "augment, noise and replacement are of batches, and the workload has no option named batch_size: "
                "add one, or leave them out"
            )


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the fraction of examples whose largest logit is the target's.

    Args:
        outputs: Logits, (examples, classes).
        targets: Class indices, (examples,).
    """
    return (outputs.argmax(-1) == targets).double().mean()


#: What classification is measured by, besides the loss.
ACCURACY = Measure(
    metric=Metric(name="accuracy", direction=Direction.MAXIMIZE, summary="Fraction classified right."),
    function=accuracy,
)
