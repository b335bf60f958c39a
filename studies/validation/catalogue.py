"""The catalogue: what a runner can train, as data that a process without torch can read and validate against."""

from pydantic import Field

from studies.frozen_model import FrozenModel
from studies.spec.parameters import STEP_SECONDS, Direction, Hyperparameter, Metric, Option


class WorkloadEntry(FrozenModel):
    """A workload as a study sees it.

    Args:
        name: Its public name, the stem of its file.
        summary: One sentence.
        options: What a study can set.
        default_steps: Steps of a run where a study gives none.
        epoch_examples: Training examples in an epoch, unless `train_examples` is an option; 1 for a full batch.
        has_validation: Whether there are validation data, so that they can be selected on.
        metrics: What is measured besides the loss.
        lanes: Lanes of a pack from which measuring starts (see `Workload.lanes`).
        step_seconds: Seconds of a step of a lane, roughly (see `Workload.step_seconds`).
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    default_steps: int
    epoch_examples: int
    has_validation: bool
    metrics: tuple[Metric, ...]
    lanes: int
    step_seconds: float = STEP_SECONDS

    def steps_per_epoch(self, options: dict[str, float | int | str]) -> int:
        """Return the steps of an epoch: examples // batch size; 1 for a full batch.

        Args:
            options: The workload's options, complete.
        """
        examples = int(options.get("train_examples", self.epoch_examples))
        return max(1, examples // int(options.get("batch_size", 1)))

    def objectives(self) -> dict[str, Direction]:
        """Return what a study can select on, with the better direction."""
        found = {"train_loss": Direction.MINIMIZE}
        if self.has_validation:
            found["validation_loss"] = Direction.MINIMIZE
            found |= {f"validation_{metric.name}": metric.direction for metric in self.metrics}
        return found


class OptimizerEntry(FrozenModel):
    """An optimizer as a study sees it.

    Args:
        name: Its public name, the stem of its file.
        summary: One sentence.
        hyperparameters: What an arm can set or search, with the default search spaces.
    """

    name: str
    summary: str
    hyperparameters: tuple[Hyperparameter, ...]


class Machines(FrozenModel):
    """What a runner trains on.

    Args:
        hardware: The machine that studies are driven from, and a pack's GPUs, in words; speeds are kept by it.
        code: A digest of the program and of what it is built on, likewise.
        workers: Packs that are trained at once.
        gpus: GPUs of each of them; 0 where they are trained on processors.
    """

    hardware: str
    code: str
    workers: int = Field(ge=1)
    gpus: float = Field(ge=0)


class Catalogue(FrozenModel):
    """Everything a runner can train.

    Args:
        workloads: By name, in alphabetical order.
        optimizers: By name, in alphabetical order.
        machines: What it is trained on; None where no runner has said.
    """

    workloads: tuple[WorkloadEntry, ...]
    optimizers: tuple[OptimizerEntry, ...]
    machines: Machines | None = None

    def workload(self, name: str) -> WorkloadEntry | None:
        """Return the workload of that name, or None."""
        return next((entry for entry in self.workloads if entry.name == name), None)

    def optimizer(self, name: str) -> OptimizerEntry | None:
        """Return the optimizer of that name, or None."""
        return next((entry for entry in self.optimizers if entry.name == name), None)
