"""Compiled steps against eager ones, on every workload and with every optimizer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from studies import registry
from studies.optimizers._base import Tensors
from studies.training.compilation.compiled_step import CompiledStepper
from studies.training.lanes import EagerStepper, Lanes, StackedStep, StepperFactory, stacked_step
from studies.training.loop import train
from studies.training.measurements import Measurement
from studies.training.task import LaneTask, Task
from studies.workloads._base import Options
from tests.support.paths import data_dir
from tests.support.training.small_workloads import with_small_splits
from tests.support.training.stateless_losses import stateless_loss

#: So few that rounding, which the ResNet multiplies by ten every two steps, stays below what is allowed.
STEPS = 6
#: Largest difference of a loss, relative, that rounding may make within so few steps, by the workload's precision.
CLOSE = {torch.float64: 1e-9, torch.float32: 1e-3}
#: Whose steps take long to compile: minutes, or half a minute.
COMPILED_IN = {
    "cifar10_resnet32": [pytest.mark.soak],
    "dnc_repeat_copy": [pytest.mark.soak],
    "fashion_mnist_convnet": [pytest.mark.slow],
    "mnist_mlp": [pytest.mark.slow],
    "linear_regression": [pytest.mark.slow],
}
WORKLOADS = [pytest.param(name, marks=COMPILED_IN.get(name, [])) for name in registry.list_names("workloads")]


def options(name: str) -> Options:
    chosen = {option.name: option.default for option in registry.load_workload(name).options}
    return chosen | ({"train_examples": 200, "batch_size": 8} if "train_examples" in chosen else {})


def trained(
    name: str, make: StepperFactory, lanes: tuple[LaneTask, ...], device: str = "cpu"
) -> tuple[Measurement, ...]:
    torch.set_num_threads(1)
    workload = registry.load_workload(name)
    found = data_dir(workload.files(options(name)))
    if found is None:
        pytest.skip("its data set is not here; set L4_DATA_DIR to a directory that has it")
    task = Task(workload=name, options=options(name), steps=STEPS, steps_per_epoch=5, test=True, lanes=lanes)
    return train(
        task, with_small_splits(workload), registry.load_optimizer("l4adam"), found, device=device, make_stepper=make
    )


def trains_the_same(name: str, device: str, folder: Path, *, lanes: int) -> None:
    """Train a pack of one lane, or of two, of which the second diverges, compiled and not."""
    setting = {each.name: each.default for each in registry.load_optimizer("l4adam").hyperparameters}
    tasks = tuple(LaneTask(setting=setting | {"alpha": alpha}, seed=seed) for alpha, seed in ((0.15, 0), (1e30, 1)))
    file = folder / "step.program"
    expected = trained(name, EagerStepper, tasks[:lanes], device)
    found = trained(name, lambda step, start: CompiledStepper(step, start, file), tasks[:lanes], device)
    close = CLOSE[registry.load_workload(name).dtype]
    for one, other in zip(found, expected, strict=True):
        assert (one.diverged, one.steps) == (other.diverged, other.steps)
        assert one.start_loss == pytest.approx(other.start_loss, rel=close)
        assert one.train_loss == pytest.approx(other.train_loss, rel=close)
        assert one.metrics == pytest.approx(other.metrics, rel=close, abs=0.011)  # an accuracy may differ by two images
    assert [each.diverged for each in expected] == [False, True][:lanes]


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_trains_the_same_compiled(name: str, tmp_path: Path) -> None:
    trains_the_same(name, "cpu", tmp_path, lanes=2)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=COMPILED_IN[name]) for name in ("fashion_mnist_convnet", "cifar10_resnet32")]
)
def test_one_lane_trains_the_same_compiled(name: str, tmp_path: Path) -> None:
    trains_the_same(name, "cpu", tmp_path, lanes=1)


@pytest.mark.gpu
@pytest.mark.parametrize("name", registry.list_names("workloads"))
def test_every_workload_trains_the_same_compiled_on_a_gpu(name: str, tmp_path: Path) -> None:
    trains_the_same(name, "cuda", tmp_path, lanes=2)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("adam", "l4adam") else [pytest.mark.slow])
        for name in registry.list_names("optimizers")
    ],
)
def test_every_optimizer_steps_the_same_compiled(name: str, tmp_path: Path) -> None:
    optimizer = registry.load_optimizer(name)

    def loss(params: Tensors, inputs: Tensor, targets: Tensor) -> Tensor:
        w, b = params
        return (inputs @ w + b - targets).square().mean()

    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(3, 20, 4, generator=generator), torch.randn(3, 20, generator=generator)
    params = (torch.zeros(3, 4), torch.zeros(3))
    before = Lanes(params, (), vmap(optimizer.init)(params), torch.tensor([True, True, False]))
    setting = {
        each.name: torch.full((3,), each.default, dtype=torch.float64) * torch.tensor([1.0, 0.5, 1.0])
        for each in optimizer.hyperparameters
    }
    step = stacked_step(stateless_loss(loss), optimizer)
    eager, compiled = EagerStepper(step, before), CompiledStepper(step, before, tmp_path / "step.program")
    for _ in range(5):
        for found, expected in zip(
            compiled.advance((inputs,), targets, setting), eager.advance((inputs,), targets, setting), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(compiled.lanes.params, eager.lanes.params, rtol=1e-4, atol=1e-6)
    assert compiled.lanes.alive.tolist() == [True, True, False]
    assert not any(each[2].any() for each in compiled.lanes.params)  # the dead lane stays where it was


@pytest.mark.slow
def test_a_program_is_made_once_and_serves_every_setting(tmp_path: Path) -> None:
    file = tmp_path / "step.program"
    setting = {each.name: each.default for each in registry.load_optimizer("l4adam").hyperparameters}
    lanes = (LaneTask(setting=setting, seed=0),)

    def make(step: StackedStep, start: Lanes) -> CompiledStepper:
        return CompiledStepper(step, start, file)

    first = trained("digits_mlp", make, lanes)
    made = file.stat().st_mtime_ns
    assert [replace(each, parameters={}) for each in trained("digits_mlp", make, lanes)] == [
        replace(each, parameters={}) for each in first
    ]
    other = tuple(replace(lane, setting={**lane.setting, "alpha": 0.05}, seed=7) for lane in lanes)
    assert trained("digits_mlp", make, other)[0].train_loss != first[0].train_loss
    assert file.stat().st_mtime_ns == made
