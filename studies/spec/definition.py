"""A study as it is posted, with defaults left out."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from studies.frozen_model import FrozenModel
from studies.spec.parameters import Precision
from studies.spec.schedule import ScheduleKind

#: Confirm seeds count from here, so that they are disjoint from the search seeds (which count from 0) in every study.
FIRST_CONFIRM_SEED = 1000
#: Workloads of a study, and arms of a study, at most.
MAX_PARTS = 50
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$")]
Title = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9 _.,()+-]{0,99}$")]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Whole = Annotated[int, Strict()]
OptionValue = Annotated[int, Strict()] | Number | Annotated[str, Strict(), Field(max_length=64)]


class Sampler(StrEnum):
    """How a search suggests settings."""

    GRID = "grid"
    RANDOM = "random"
    TPE = "tpe"


class Pruner(StrEnum):
    """Whether search runs are stopped on their way."""

    NONE = "none"
    ASHA = "asha"


class WorkloadDefinition(FrozenModel):
    """A workload of a study, as posted.

    Args:
        name: Its name within the study.
        workload: The registered workload; the same as `name` where not given.
        options: Values of the workload's options; those not given take their defaults.
        steps: Length of a run in steps; at most one of `steps` and `epochs`.
        epochs: Length of a run in epochs.
        lanes: Lanes of a pack, that is runs trained together; measured where not given.
    """

    name: Name
    workload: Name | None = None
    options: dict[str, OptionValue] = Field(default={}, max_length=50)
    steps: Whole | None = Field(default=None, ge=1, le=100_000_000)
    epochs: Whole | None = Field(default=None, ge=1, le=1_000_000)
    lanes: Whole | None = Field(default=None, ge=1, le=1024)


class RangeDefinition(FrozenModel):
    """A search range, as posted.

    Args:
        low: Lower end; the optimizer's default range's where not given.
        high: Upper end; likewise.
    """

    low: Number | None = None
    high: Number | None = None


class ScheduleDefinition(FrozenModel):
    """How a hyperparameter changes over a run, as posted; see `studies.spec.schedule.Schedule`.

    Args:
        kind: Its shape.
        milestones: Where a piecewise one is multiplied by gamma, as fractions of the run, rising.
        gamma: By how much, each time.
        final: Where a cosine one ends, as a fraction of the value.
        warmup: How long the linear warm-up is, as a fraction of the run.
    """

    kind: ScheduleKind
    milestones: tuple[Annotated[float, Strict(), Field(gt=0, lt=1)], ...] = Field(default=(), max_length=100)
    gamma: Number = Field(default=0.1, gt=0, le=1e6)
    final: Number = Field(default=0.0, ge=0, le=1e6)
    warmup: Number = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind is ScheduleKind.PIECEWISE) != bool(self.milestones):
            raise ValueError(f"a {self.kind} schedule has {'' if not self.milestones else 'no '}milestones")
        if list(self.milestones) != sorted({*self.milestones}) or min(self.milestones, default=1.0) < self.warmup:
            raise ValueError("milestones rise, and none lies within the warm-up")
        return self


class ArmDefinition(FrozenModel):
    """An arm of a study, as posted: an optimizer, what is fixed and what is searched.

    Args:
        name: Its name within the study.
        optimizer: The registered optimizer; the same as `name` where not given.
        fixed: Values of hyperparameters; those neither fixed nor searched take their defaults.
        search: Ranges of searched hyperparameters; none makes it a fixed arm.
        schedule: How hyperparameters, fixed or searched, change over a run; those not given are constant.
    """

    name: Name
    optimizer: Name | None = None
    fixed: dict[str, Number] = Field(default={}, max_length=50)
    search: dict[str, RangeDefinition] = Field(default={}, max_length=50)
    schedule: dict[str, ScheduleDefinition] = Field(default={}, max_length=50)


class Budget(FrozenModel):
    """What a study may spend in all; None is no limit. See `studies.search.budget`, `studies.execution.time_budget`.

    Args:
        trials: Trials of all searches together, a fixed arm's single one among them.
        run_steps: Steps of all runs together, confirm runs among them, each charged with its whole length.
        seconds: Wall-clock seconds for which the study is RUNNING.
        gpu_hours: Hours of packs on GPUs.
    """

    trials: Whole | None = Field(default=None, ge=1, le=10**9)
    run_steps: Whole | None = Field(default=None, ge=1, le=10**15)
    seconds: Number | None = Field(default=None, gt=0, le=1e9)
    gpu_hours: Number | None = Field(default=None, gt=0, le=1e6)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError(f"a budget limits at least one of {', '.join(type(self).model_fields)}")
        return self


class ProtocolDefinition(FrozenModel):
    """What is selected on and how much is spent, as posted.

    Args:
        objective: `train_loss`, `validation_loss` or `validation_<metric>`.
        sampler: `grid` and `random` are spaced in the logarithm, as the paper's; `tpe` by choice.
        trials: Trials of each search, before any extension of its range.
        batch: Trials asked at once; all of them where not given, a quarter for `tpe` and `asha`.
        pruner: `asha` stops search runs that are behind those of earlier batches; see
            `studies.search.successive_halving`.
        search_length: Length of a search run, as a share of a confirm run's.
        precision: What matrix products and convolutions are computed in.
        search_seeds: Seeds of a trial; its score is their median.
        confirm_seeds: Fresh seeds every arm is compared on.
        reference: The arm the others are compared with; the first fixed arm where not given.
        margin: A difference within it is a tie; in decades for losses, else in the metric's unit.
        loss_floor: Losses below it count as it, so that a loss of 0 has a logarithm.
        scale: Multiplies the length of runs, the trials and the seeds, to try a study out; 1 is the study itself.
        budget: What the study may spend in all, not scaled; no limit where not given.
    """

    objective: Annotated[str, Field(max_length=64)] = "train_loss"
    sampler: Sampler = Sampler.GRID
    trials: Whole = Field(default=12, ge=1, le=10_000)
    batch: Whole | None = Field(default=None, ge=1, le=10_000)
    pruner: Pruner = Pruner.NONE
    search_length: Number = Field(default=1.0, gt=0, le=1)
    precision: Precision = Precision.FLOAT32
    search_seeds: Whole = Field(default=1, ge=1, le=FIRST_CONFIRM_SEED)
    confirm_seeds: Whole = Field(default=10, ge=1, le=1000)
    reference: Name | None = None
    margin: Number = Field(default=0.05, ge=0, le=1e6)
    loss_floor: Number = Field(default=1e-30, gt=0, le=1)
    scale: Number = Field(default=1.0, gt=0, le=1)
    budget: Budget | None = None


class StudyDefinition(FrozenModel):
    """A study, as posted.

    Args:
        name: A title for people; it does not change any result.
        workloads: At least one, names unique.
        arms: At least one, names unique.
        protocol: Defaults where not given.
    """

    name: Title
    workloads: tuple[WorkloadDefinition, ...] = Field(min_length=1, max_length=MAX_PARTS)
    arms: tuple[ArmDefinition, ...] = Field(min_length=1, max_length=MAX_PARTS)
    protocol: ProtocolDefinition = ProtocolDefinition()
