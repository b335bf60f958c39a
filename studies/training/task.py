"""What a pack trains, as it travels to a worker."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from studies.spec.parameters import Direction, Precision
from studies.spec.schedule import Schedule
from studies.workloads._base import Options


@dataclass(frozen=True, kw_only=True)
class LaneTask:
    """What one lane trains.

    Args:
        setting: Every hyperparameter of the optimizer by name.
        seed: The run's seed.
    """

    setting: Mapping[str, float]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """How runs are judged on their way; those that are behind are stopped.

    Args:
        steps: After which steps.
        limits: The worst value that goes on, at each of them; None for any.
        objective: What is judged: `train_loss`, or what is measured on the validation data.
        direction: Which way it is better.
    """

    steps: tuple[int, ...] = ()
    limits: tuple[float | None, ...] = ()
    objective: str = "train_loss"
    direction: Direction = Direction.MINIMIZE


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a pack trains.

    Args:
        workload: The registered workload's name; it names the seeds' axis.
        options: The workload's options, complete.
        steps: Length of a run.
        steps_per_epoch: Steps of an epoch.
        test: Whether test data are measured; only confirm runs may.
        lanes: The runs, in lane order.
        schedules: How hyperparameters change over the run, by name; those not given are constant.
        judged: How runs are judged on their way.
        precision: What matrix products and convolutions are computed in.
    """

    workload: str
    options: Options
    steps: int
    steps_per_epoch: int
    test: bool
    lanes: tuple[LaneTask, ...]
    schedules: Mapping[str, Schedule] = field(default_factory=dict[str, Schedule])
    judged: Pruning = field(default_factory=Pruning)
    precision: Precision = Precision.FLOAT32
