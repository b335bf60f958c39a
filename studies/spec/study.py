"""What a study is: the definition a user posts, and the complete, hashed spec that it resolves to."""

import hashlib
import json
from typing import Literal

from studies.frozen_model import FrozenModel
from studies.spec.definition import (
    FIRST_CONFIRM_SEED,
    Budget,
    Name,
    Pruner,
    Sampler,
    ScheduleDefinition,
    Title,
)
from studies.spec.objective import Objective
from studies.spec.parameters import Direction, Precision, Stage


class WorkloadSpec(FrozenModel):
    """A workload of a study, complete.

    Args:
        name: Its name within the study.
        workload: The registered workload.
        options: Every option's value.
        steps: Length of a confirm run in steps.
        search_steps: Length of a search run in steps.
        steps_per_epoch: Steps of an epoch; 1 for a full batch.
        rungs: After which steps search runs are judged; none where they are not.
        lanes: Lanes of a pack; None where they are measured.
    """

    name: Name
    workload: str
    options: dict[str, float | int | str]
    steps: int
    search_steps: int
    steps_per_epoch: int
    rungs: tuple[int, ...] = ()
    lanes: int | None = None

    def length(self, stage: Stage) -> int:
        """Return the length of a run of that stage in steps."""
        return self.search_steps if stage is Stage.SEARCH else self.steps


class SearchRange(FrozenModel):
    """A searched hyperparameter, complete.

    Args:
        low: Lower end.
        high: Upper end.
        log: Whether the search is uniform in the logarithm.
        at_least: Natural lower bound that no extension passes, None for none.
        at_most: Natural upper bound, likewise.
    """

    low: float
    high: float
    log: bool
    at_least: float | None
    at_most: float | None


class ArmSpec(FrozenModel):
    """An arm of a study, complete.

    Args:
        name: Its name within the study.
        optimizer: The registered optimizer.
        fixed: Every hyperparameter that is not searched.
        search: Every searched hyperparameter.
        schedule: Every hyperparameter that changes over a run.
    """

    name: Name
    optimizer: str
    fixed: dict[str, float]
    search: dict[str, SearchRange]
    schedule: dict[str, ScheduleDefinition]

    @property
    def kind(self) -> Literal["fixed", "searched"]:
        """How the arm's hyperparameters are set."""
        return "searched" if self.search else "fixed"


class ProtocolSpec(FrozenModel):
    """What is selected on and how much is spent, complete; fields as in `ProtocolDefinition`, but already scaled.

    Args:
        direction: Which way the objective is better.
        scale: By how much the lengths, trials and seeds of the spec were shortened.
    """

    objective: str
    direction: Direction
    sampler: Sampler
    trials: int
    batch: int
    pruner: Pruner
    search_length: float
    precision: Precision
    search_seeds: int
    confirm_seeds: int
    reference: str
    margin: float
    loss_floor: float
    scale: float
    budget: Budget | None = None


class StudySpec(FrozenModel):
    """A study, complete: everything that its results depend on.

    Args:
        name: A title for people.
        workloads: In the order given.
        arms: In the order given.
        protocol: Complete.
    """

    name: Title
    workloads: tuple[WorkloadSpec, ...]
    arms: tuple[ArmSpec, ...]
    protocol: ProtocolSpec

    @property
    def objective(self) -> Objective:
        """What searches select on and arms are compared on."""
        protocol = self.protocol
        return Objective(name=protocol.objective, direction=protocol.direction, loss_floor=protocol.loss_floor)

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything but the name, in hexadecimal."""
        values = self.model_dump(mode="json", exclude={"name"})
        if self.protocol.budget is None:
            del values["protocol"]["budget"]  # a study without one has the hash that it had before there were budgets
        content = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def search_seeds(self) -> tuple[int, ...]:
        """Seeds of every search run."""
        return tuple(range(self.protocol.search_seeds))

    @property
    def confirm_seeds(self) -> tuple[int, ...]:
        """Seeds of every confirm run, disjoint from the search seeds."""
        return tuple(range(FIRST_CONFIRM_SEED, FIRST_CONFIRM_SEED + self.protocol.confirm_seeds))

    @property
    def shortened(self) -> str:
        """What every form of the report says in large letters where the study was scaled; empty where it was not."""
        if self.protocol.scale == 1:
            return ""
        return (
            f"SHORTENED to {self.protocol.scale:g} of its length: runs, trials and seeds were cut, so this is a "
            "trial of the study and no result of it"
        )

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Names of every workload with every arm."""
        return tuple((workload.name, arm.name) for workload in self.workloads for arm in self.arms)

    def workload(self, name: str) -> WorkloadSpec:
        """Return the workload of that name within the study."""
        return next(workload for workload in self.workloads if workload.name == name)

    def arm(self, name: str) -> ArmSpec:
        """Return the arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def warnings(self) -> tuple[str, ...]:
        """Return what a reader should be told before anything runs.

        With n seeds a two-sided sign-flip test's smallest p-value is 2 / 2^n, Holm's correction multiplies it by the
        number of tests m: fewer than log2(2 m / 0.05) seeds can never reach 0.05.
        """
        shortened = (self.shortened,) if self.shortened else ()
        tests = (len(self.arms) - 1) * len(self.workloads)
        seeds = self.protocol.confirm_seeds
        if tests == 0 or 2 * tests / 2.0**seeds <= 0.05:
            return shortened
        needed = next(n for n in range(1, 100) if 2 * tests / 2.0**n <= 0.05)
        return (
            *shortened,
            f"{seeds} confirm seeds cannot reach significance at 0.05 over {tests} "
            f"{'test' if tests == 1 else 'tests'}: at least {needed} are needed",
        )
