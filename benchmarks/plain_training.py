"""The study's trainings as plain PyTorch loops, as a Tune function and as a Tune class; all that a trial imports."""

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
    """What one Tune trial trains; its fields are the trial's config, and so the parameters in MLflow.

    Args:
        workload: The workload.
        arm: The arm.
        stage: `search` or `confirm`; only confirm runs measure test data.
        seed: The run's seed.
        lr: The learning rate; 0 where the arm has none.
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
        module: Initialised.
        data: Its data.
        loss: From (outputs, targets) to the loss.
        measures: What is measured besides the loss.
        batch_size: Examples of a step; all where 0.
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
class Material:
    """What all trials share; put into Ray's object store once.

    Args:
        problems: By workload and seed.
        fixed: The hyperparameters that are not searched, by arm.
    """

    problems: Mapping[tuple[str, int], Problem]
    fixed: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run reports at one step.

    Args:
        metrics: Values by name; the training loss is +inf where it is not finite.
        last: Whether the run ends with it.
    """

    metrics: Mapping[str, float]
    last: bool


def training(run: Run, material: Material) -> Iterator[Report]:
    """Train a run, and yield a report at every stride and at the end, which a loss that is not finite makes early.

    Args:
        run: What to train.
        material: What all trials share.
    """
    torch.set_num_threads(1)
    problem = material.problems[run.workload, run.seed]
    module, loss_of = copy.deepcopy(problem.module), problem.loss
    optimizer, step = _optimizer(run, material.fixed[run.arm], module)
    following = _batches(run, problem)
    recent: deque[Tensor] = deque(maxlen=problem.epoch)
    for t in range(1, problem.steps + 1):
        inputs, targets = next(following)
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
            metrics |= _measured("validation", module, problem.data.validation, problem)
        if problem.data.test is not None and last and run.stage == "confirm":
            metrics |= _measured("test", module, problem.data.test, problem)
        yield Report(metrics=metrics, last=last)
        if last:
            return


def function_trial(config: dict[str, Any], material: Material) -> None:
    """Train the run of a config, as a Tune function."""
    for report in training(Run(**config["run"]), material):
        tune.report(dict(report.metrics))


class ClassTrial(Trainable):
    """Trains the run of a config, one report a step, and then that of the next config in the same process."""

    def setup(self, config: dict[str, Any], material: Material | None = None) -> None:
        """Take the first run; `tune.with_parameters` gives the material."""
        assert material is not None
        self._material = material
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next run."""
        self._reports = training(Run(**new_config["run"]), self._material)
        return True

    def step(self) -> dict[str, Any]:
        """Train until the next report."""
        report = next(self._reports)
        return {**report.metrics, "done": report.last}


def _optimizer(run: Run, fixed: Mapping[str, float], module: nn.Module) -> tuple[torch.optim.Optimizer, Step]:
    """Return the arm's optimizer, torch's own wherever torch has it."""
    params = list(module.parameters())
    if run.arm in ("l4adam", "l4mom"):
        l4 = L4Adam(params) if run.arm == "l4adam" else L4Mom(params)  # at the defaults, as the study's arms are
        return l4, lambda loss: l4.step(loss=loss)
    if run.arm == "adam":
        betas = fixed["beta1"], fixed["beta2"]
        # fused is the fastest of its three forms on the CPU too; SGD's plain form is the fastest of its
        optimizer = torch.optim.Adam(params, lr=run.lr, betas=betas, eps=fixed["eps"], fused=True)
    else:
        optimizer = torch.optim.SGD(params, lr=run.lr, momentum=fixed.get("momentum", 0.0))

    def step(loss: Tensor) -> None:
        optimizer.step()

    return optimizer, step


def _batches(run: Run, problem: Problem) -> Iterator[Examples]:
    """Yield the batches in the order of the run's seed, for ever."""
    train = problem.data.train
    if not problem.batch_size:
        while True:
            yield train
    for chosen in BatchSampler(
        len(train.inputs), problem.batch_size, seeded_generator(run.workload, run.seed, "order")
    ):
        yield Examples(inputs=train.inputs[chosen], targets=train.targets[chosen])


@torch.inference_mode()
def _measured(part: str, module: nn.Module, examples: Examples, problem: Problem) -> dict[str, float]:
    outputs = module(examples.inputs)
    measured = {"loss": problem.loss} | {measure.metric.name: measure.function for measure in problem.measures}
    return {f"{part}_{name}": float(of(outputs, examples.targets)) for name, of in measured.items()}
