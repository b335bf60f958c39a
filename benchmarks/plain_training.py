"""Plain PyTorch training of a run, as a Tune function and as a Tune class; trials import only this module."""

import copy
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from ray import tune
from ray.tune import Trainable
from torch import Tensor, nn

from l4 import L4Adam, L4Mom
from studies.seeds import seeded_generator
from studies.training.batches import BatchSampler
from studies.workloads._base import Data, Examples, Measure

#: From the loss of the batch to the step that an optimizer takes after `backward`.
Step = Callable[[Tensor], object]


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run of one Tune trial; its fields are the trial's config, and therefore the parameters in MLflow.

    Args:
        workload: The workload.
        arm: The arm.
        stage: `search` or `confirm`; only confirm runs measure test data.
        seed: The run's seed.
        lr: The learning rate; 0 if the arm has none.
    """

    workload: str
    arm: str
    stage: str
    seed: int
    lr: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A workload with the initialisation and data of one seed.

    Args:
        module: The initialised module.
        data: Its data.
        loss: From (outputs, targets) to the loss.
        measures: Metrics besides the loss.
        batch_size: Examples of a step; 0 for all.
        steps: Length of the run.
        epoch: Steps of an epoch, over whose last one the training loss is averaged.
        stride: Steps between two reports.
    """

    module: nn.Module
    data: Data
    loss: Callable[[Tensor, Tensor], Tensor]
    measures: tuple[Measure, ...]
    batch_size: int
    steps: int
    epoch: int
    stride: int


@dataclass(frozen=True, kw_only=True)
class SharedData:
    """Data that all trials share, put into Ray's object store once.

    Args:
        problems: By workload and seed.
        fixed: Fixed hyperparameters by arm.
    """

    problems: Mapping[tuple[str, int], Problem]
    fixed: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report of a run at one step.

    Args:
        metrics: Values by name; the training loss is +inf where it is not finite.
        last: Whether it is the run's last.
    """

    metrics: Mapping[str, float]
    last: bool


def training(run: Run, shared: SharedData) -> Iterator[Report]:
    """Train a run, and yield a report at every stride and at the end; a loss that is not finite ends the run.

    Args:
        run: The run.
        shared: Data that all trials share.
    """
    torch.set_num_threads(1)
    problem = shared.problems[run.workload, run.seed]
    module, loss_of = copy.deepcopy(problem.module), problem.loss
    optimizer, step = _optimizer(run, shared.fixed[run.arm], module)
    batches = _batches(run, problem)
    recent: deque[Tensor] = deque(maxlen=problem.epoch)
    for t in range(1, problem.steps + 1):
        inputs, targets = next(batches)
        optimizer.zero_grad()
        loss = loss_of(module(inputs), targets)
        loss.backward()
        step(loss)
        recent.append(loss.detach())
        if t % problem.stride and t < problem.steps:
            continue
        train_loss = float(torch.stack(tuple(recent)).double().mean())
        finite = math.isfinite(train_loss)
        last = t == problem.steps or not finite
        metrics = {"train_loss": train_loss if finite else math.inf}
        if problem.data.validation is not None:
            metrics |= _measure("validation", module, problem.data.validation, problem)
        if problem.data.test is not None and last and run.stage == "confirm":
            metrics |= _measure("test", module, problem.data.test, problem)
        yield Report(metrics=metrics, last=last)
        if last:
            return


def function_trial(config: dict[str, Any], shared: SharedData) -> None:
    """Train the run of a config, as a Tune function."""
    for report in training(Run(**config["run"]), shared):
        tune.report(dict(report.metrics))


class ClassTrial(Trainable):
    """Trains the run of a config, one report a step, and then that of the next config in the same process."""

    def setup(self, config: dict[str, Any], shared: SharedData | None = None) -> None:
        """Take the first run; `tune.with_parameters` passes the shared data."""
        assert shared is not None
        self._shared = shared
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next run."""
        self._reports = training(Run(**new_config["run"]), self._shared)
        return True

    def step(self) -> dict[str, Any]:
        """Train until the next report."""
        report = next(self._reports)
        return {**report.metrics, "done": report.last}


def _optimizer(run: Run, fixed: Mapping[str, float], module: nn.Module) -> tuple[torch.optim.Optimizer, Step]:
    """Return the arm's optimizer, torch's own wherever torch has it."""
    params = list(module.parameters())
    if run.arm in ("l4adam", "l4mom"):
        l4 = L4Adam(params) if run.arm == "l4adam" else L4Mom(params)  # at the defaults, as in the study's arms
        return l4, lambda loss: l4.step(loss=loss)
    if run.arm == "adam":
        betas = fixed["beta1"], fixed["beta2"]
        # the fused form is the fastest of Adam on the CPU too; for SGD the plain form is
        optimizer = torch.optim.Adam(params, lr=run.lr, betas=betas, eps=fixed["eps"], fused=True)
    else:
        optimizer = torch.optim.SGD(params, lr=run.lr, momentum=fixed.get("momentum", 0.0))

    def step(loss: Tensor) -> None:
        optimizer.step()

    return optimizer, step


def _batches(run: Run, problem: Problem) -> Iterator[Examples]:
    """Yield the batches in the order of the run's seed, without end."""
    train = problem.data.train
    if not problem.batch_size:
        while True:
            yield train
    for chosen in BatchSampler(
        len(train.inputs), problem.batch_size, seeded_generator(run.workload, run.seed, "order")
    ):
        yield Examples(inputs=train.inputs[chosen], targets=train.targets[chosen])


@torch.inference_mode()
def _measure(part: str, module: nn.Module, examples: Examples, problem: Problem) -> dict[str, float]:
    outputs = module(examples.inputs)
    functions = {"loss": problem.loss} | {measure.metric.name: measure.function for measure in problem.measures}
    return {f"{part}_{name}": float(function(outputs, examples.targets)) for name, function in functions.items()}
