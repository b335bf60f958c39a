"""What a pack trains; tasks are sent to workers."""

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
    """When runs are stopped early: at a rung, a run that is worse than its limit.

    Args:
        steps: The rungs: runs are evaluated after these steps.
        limits: The worst value that continues, for each rung; None for no limit.
        objective: What is compared: `train_loss`, or a value measured on the validation data.
        direction: Whether small or large values of the objective are better.
    """

    steps: tuple[int, ...] = ()
    limits: tuple[float | None, ...] = ()
    objective: str = "train_loss"
    direction: Direction = Direction.MINIMIZE


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a pack trains.

    Args:
        workload: The registered workload's name, also an axis of the seeds.
        options: The workload's options, complete.
        steps: Length of a run.
        steps_per_epoch: Steps of an epoch.
        test: Whether to measure on test data; only confirm runs may.
        lanes: The runs, in lane order.
        schedules: How hyperparameters change over the run, by name; the others are constant.
        pruning: When runs are stopped early.
        precision: The precision of matrix products and convolutions.
    """

    workload: str
    options: Options
    steps: int
    steps_per_epoch: int
    test: bool
    lanes: tuple[LaneTask, ...]
    schedules: Mapping[str, Schedule] = field(default_factory=dict[str, Schedule])
    pruning: Pruning = field(default_factory=Pruning)
    precision: Precision = Precision.FLOAT32
