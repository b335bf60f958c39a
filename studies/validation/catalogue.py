"""The catalogue of what a runner can train, as data that a process without torch can validate studies against."""

from pydantic import Field

from studies.frozen_model import FrozenModel
from studies.spec.parameters import STEP_SECONDS, Direction, Hyperparameter, Metric, Option


class WorkloadEntry(FrozenModel):
    """A workload of the catalogue.

    Args:
        name: Its public name, the stem of its file.
        summary: One sentence.
        options: What a study can set.
        default_steps: Steps of a run if a study gives none.
        epoch_examples: Training examples in an epoch, unless `train_examples` is an option; 1 for a full batch.
        has_validation: Whether it has validation data, which settings can be selected on.
        metrics: Measured quantities besides the loss.
        lanes: Lanes of a pack at which throughput probes start (see `Workload.lanes`).
        step_seconds: Rough seconds of a step per lane (see `Workload.step_seconds`).
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
        """Return the possible objectives of a study, with the better direction."""
        objectives = {"train_loss": Direction.MINIMIZE}
        if self.has_validation:
            objectives["validation_loss"] = Direction.MINIMIZE
            objectives |= {f"validation_{metric.name}": metric.direction for metric in self.metrics}
        return objectives


class OptimizerEntry(FrozenModel):
    """An optimizer of the catalogue.

    Args:
        name: Its public name, the stem of its file.
        summary: One sentence.
        hyperparameters: What an arm can set or search, with the default search spaces.
    """

    name: str
    summary: str
    hyperparameters: tuple[Hyperparameter, ...]


class Machines(FrozenModel):
    """The machines that a runner trains on.

    Args:
        hardware: A description of the driver's machine and a pack's GPUs; part of the key of measured speeds.
        code: A digest of the program and its libraries; likewise.
        workers: Number of packs that train at the same time.
        gpus: GPUs of each pack; 0 for training on CPUs.
    """

    hardware: str
    code: str
    workers: int = Field(ge=1)
    gpus: float = Field(ge=0)


class UnusableMachine(FrozenModel):
    """A machine that has joined and takes no packs.

    Args:
        host: Its name.
        reason: Why, with the remedy.
    """

    host: str
    reason: str


class ClusterState(FrozenModel):
    """Which machines of a cluster take packs.

    Args:
        can_train: Whether any machine takes packs.
        unusable: Machines that cannot train; others may be busy, or may not have joined.
    """

    can_train: bool
    unusable: tuple[UnusableMachine, ...] = ()


class Catalogue(FrozenModel):
    """Everything a runner can train.

    Args:
        workloads: By name, in alphabetical order.
        optimizers: By name, in alphabetical order.
        machines: What it trains on; None if no runner has registered.
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
