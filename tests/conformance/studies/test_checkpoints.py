"""Every workload with every optimizer, eager and compiled: cut and continued, training is bitwise the same."""

import os
from pathlib import Path

import pytest
import torch

from studies import registry
from studies.training.checkpoint import CheckpointWriter
from studies.training.compilation.compiled_step import CompiledStepper
from studies.training.lanes import EagerStepper, Lanes, StackedStep, StepperFactory
from studies.training.loop import train
from studies.training.measurements import Measurement
from studies.training.task import LaneTask, Pruning, Task
from tests.conformance.studies.test_compiled import WORKLOADS
from tests.conformance.studies.test_workloads import bits, directory, options
from tests.support.training.interrupted_training import Train, train_in_parts
from tests.support.training.small_workloads import with_small_splits

STEPS, RUNG = 8, 4
#: Cut before and after the rung, and so before and after the first evaluation.
CUTS = (2, 6)
#: The optimizers that train the larger networks first.
FEW = ("l4adam", "momentum")
#: When the larger networks are trained: with these optimizers, and with the others.
MARKS = {
    "dnc_repeat_copy": ([], [pytest.mark.slow]),
    "fashion_mnist_convnet": ([pytest.mark.slow], [pytest.mark.soak]),
    "cifar10_resnet32": ([pytest.mark.slow], [pytest.mark.soak]),
}


def mark(name: str, optimizer: str) -> list[pytest.MarkDecorator]:
    """Return when a pair is trained."""
    with_few, with_others = MARKS.get(name, ([], []))
    return with_few if optimizer in FEW else with_others


PAIRS = [
    pytest.param(name, optimizer, marks=mark(name, optimizer))
    for name in registry.list_names("workloads")
    for optimizer in registry.list_names("optimizers")
]


@pytest.fixture(autouse=True)
def nothing_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave files to the system: they are large, one is written before every step, and none has to survive it."""

    def leave(descriptor: int) -> None: ...

    monkeypatch.setattr(os, "fsync", leave)


def training(name: str, optimizer: str) -> Train:
    """Return what trains a short pack of three runs, or two of a large net; the second one diverges and leaves."""
    torch.set_num_threads(1)
    whole = registry.load_workload(name)
    workload, found, data_dir = with_small_splits(whole), registry.load_optimizer(optimizer), directory(whole)
    defaults = {each.name: each.default for each in found.hyperparameters}
    rate, good = ("lr", 1e-5) if "lr" in defaults else ("alpha", 0.15)
    rates = (good, 1e300) if whole.lanes == 1 else (good, 1e300, 0.5 * good)
    task = Task(
        workload=name,
        options=options(whole),
        steps=STEPS,
        steps_per_epoch=3,
        test=True,
        lanes=tuple(LaneTask(setting=defaults | {rate: each}, seed=seed) for seed, each in enumerate(rates)),
        pruning=Pruning(steps=(RUNG,), limits=(None,)),
    )

    def run(make: StepperFactory, keeper: CheckpointWriter | None) -> tuple[Measurement, ...]:
        return train(
            task, workload, found, data_dir, make_stepper=make, width=2 * len(rates) - 2, checkpoint_writer=keeper
        )

    return run


def goes_on(run: Train, make: StepperFactory, folder: Path) -> None:
    """Compare a training that is cut twice with one that is not."""
    expected = run(make, None)
    found, last = train_in_parts(run, make, CUTS, folder)
    assert [bits(each) for each in found] == [bits(each) for each in expected]
    assert [each.diverged for each in found] == [False, True, False][: len(found)]
    assert [each.steps == STEPS for each in found] == [True, False, True][: len(found)]
    assert (last.taken, last.widths) == (STEPS - CUTS[-1], [len(found) - 1])


@pytest.mark.parametrize(("name", "optimizer"), PAIRS)
def test_it_is_bitwise_the_same(name: str, optimizer: str, tmp_path: Path) -> None:
    goes_on(training(name, optimizer), EagerStepper, tmp_path)


def compiled(folder: Path) -> StepperFactory:
    """Return what makes steppers by programs that are kept in a folder."""

    def make(step: StackedStep, lanes: Lanes) -> CompiledStepper:
        return CompiledStepper(step, lanes, folder / f"{len(lanes.alive)}.program")

    return make


# the digits are trained with every optimizer, below
@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in WORKLOADS if each.values != ("digits_mlp",)])
def test_so_it_is_compiled(name: str, tmp_path: Path) -> None:
    goes_on(training(name, "l4adam"), compiled(tmp_path / "programs"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", registry.list_names("optimizers"))
def test_so_it_is_compiled_with_every_optimizer(optimizer: str, tmp_path: Path) -> None:
    goes_on(training("digits_mlp", optimizer), compiled(tmp_path / "programs"), tmp_path)
