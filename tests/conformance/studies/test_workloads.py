"""What every registered workload must do, whatever it trains."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from studies import registry
from studies.records.rows import Series
from studies.seeds import seeded_generator
from studies.training.loop import train
from studies.training.measurements import Measurement
from studies.training.task import LaneTask, Task
from studies.workloads._base import Data, Examples, Options, Workload
from tests.support.paths import ROOT, data_dir
from tests.support.training.small_workloads import with_small_splits

STEPS = 24
#: Lanes' learning rates, the last one meant to diverge, and their seeds, of both stages.
RATES = (1e-5, 2e-5, 1e-6, 3e-5, 2e-6, 5e-6, 1e-5, 1e30)
SEEDS = (0, 1, 2, 3, 4, 1000, 0, 1001)
#: Whose steps take seconds; `make test-slow` trains them.
LARGE = ("cifar10_resnet32", "dnc_repeat_copy", "fashion_mnist_convnet")
every_workload = pytest.mark.parametrize("name", registry.list_names("workloads"))
every_trained_workload = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else [])
        for name in registry.list_names("workloads")
    ],
)


def directory(workload: Workload) -> Path:
    found = data_dir(workload.files(options(workload)))
    if found is None:
        pytest.skip("its data set is not here; set L4_DATA_DIR to a directory that has it")
    return found


def options(workload: Workload) -> Options:
    """Return the defaults, but little data, and small batches where packs have one lane: those nets are large."""
    chosen = {option.name: option.default for option in workload.options}
    small = {"train_examples": 200} | ({"batch_size": 8} if workload.lanes == 1 else {})
    return chosen | {name: value for name, value in small.items() if name in chosen}


def trainable(workload: Workload) -> Sequence[int]:
    """Return which of the eight lanes to train: all, or the first and last where packs have one lane."""
    return (0, 7) if workload.lanes == 1 else range(8)


def task(name: str, lanes: Sequence[int], *, test: bool = False) -> Task:
    """Return a short task with sgd lanes out of the eight."""
    return Task(
        workload=name,
        options=options(registry.load_workload(name)),
        steps=STEPS,
        steps_per_epoch=10,
        test=test,
        lanes=tuple(LaneTask(setting={"lr": RATES[lane], "clip_norm": 0.0}, seed=SEEDS[lane]) for lane in lanes),
    )


def trained(name: str, lanes: Sequence[int], *, test: bool = False) -> tuple[Measurement, ...]:
    torch.set_num_threads(1)
    workload = with_small_splits(registry.load_workload(name))
    packs = [lanes[start : start + workload.lanes] for start in range(0, len(lanes), workload.lanes)]
    return tuple(
        measured
        for pack in packs
        for measured in train(
            task(name, pack, test=test), workload, registry.load_optimizer("sgd"), directory(workload)
        )
    )


def data(name: str, seed: int = 0) -> Data:
    workload = registry.load_workload(name)
    return workload.data(options(workload), directory(workload), seeded_generator(name, seed, "problem"))


def bits(measured: Measurement) -> tuple[object, ...]:
    """Return everything that was measured; NaN equals itself here."""

    def series(each: Series) -> object:
        return each.name, each.steps, torch.tensor(each.values, dtype=torch.float64).numpy().tobytes()

    return (
        replace(measured, series=(), parameters={}),
        tuple(series(each) for each in measured.series),
        {name: value.numpy().tobytes() for name, value in measured.parameters.items()},
    )


@every_workload
def test_has_its_own_test(name: str) -> None:
    assert (ROOT / "tests" / "unit" / "studies" / "workloads" / f"test_{name}.py").is_file()


@every_workload
def test_declares_usable_options(name: str) -> None:
    workload = registry.load_workload(name)
    declared = [each.name for each in workload.options]
    assert len(set(declared)) == len(declared)
    assert all(each.fault(each.default) is None and each.summary.endswith(".") for each in workload.options)
    assert workload.summary.endswith(".")
    assert workload.default_steps > 0
    assert workload.lanes > 0


@every_workload
def test_has_the_data_that_it_declares(name: str) -> None:
    workload, found = registry.load_workload(name), data(name)
    parts = [part for part in (found.train, found.validation, found.test) if part is not None]
    assert (found.validation is not None) == workload.has_validation
    assert all(len(part.inputs) == len(part.targets) > 0 for part in parts)
    assert all(part.inputs.dtype in (workload.dtype, torch.uint8) and part.inputs.isfinite().all() for part in parts)


@every_workload
def test_parts_of_the_data_share_no_example(name: str) -> None:
    found = data(name)
    parts = {
        part: {row.numpy().tobytes() for row in examples.inputs}
        for part, examples in vars(found).items()
        if isinstance(examples, Examples)
    }
    train_part = parts.pop("train")
    # the published sets hold a few pictures twice
    assert all(len(train_part & own) <= len(own) / 100 for own in parts.values())


@every_workload
def test_is_drawn_from_the_seed_or_always_the_same(name: str) -> None:
    first, again, other = data(name, 0), data(name, 0), data(name, 1)
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert torch.equal(first.train.inputs, other.train.inputs) != registry.load_workload(name).data_per_seed


@every_workload
def test_initial_parameters_come_from_the_seed(name: str) -> None:
    workload = registry.load_workload(name)

    def initial(seed: int) -> list[Tensor]:
        module = workload.model(options(workload)).to(workload.dtype)
        for each in (*module.parameters(), *module.buffers()):
            each.detach().fill_(float("nan") if each.is_floating_point() else -1)
        workload.initialise(module, seeded_generator(name, seed, "init"))
        return [each.detach() for each in (*module.parameters(), *module.buffers())]

    assert all(each.isfinite().all() and (each.is_floating_point() or (each >= 0).all()) for each in initial(0))
    assert all(torch.equal(a, b) for a, b in zip(initial(0), initial(0), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(initial(0), initial(1), strict=True))


@every_trained_workload
def test_a_run_is_bitwise_the_same_in_packs_of_1_3_and_8(name: str) -> None:
    lanes = trainable(registry.load_workload(name))
    eight = dict(zip(lanes, map(bits, trained(name, lanes)), strict=True))
    some = (6, 1, 3) if len(lanes) == 8 else (7, 0)
    assert [bits(each) for each in trained(name, some)] == [eight[lane] for lane in some]
    if registry.load_workload(name).lanes > 1:
        assert [bits(each) for lane in lanes for each in trained(name, (lane,))] == list(eight.values())


@every_trained_workload
def test_a_learning_rate_too_large_diverges_and_the_rest_finish(name: str) -> None:
    *finished, diverged = trained(name, trainable(registry.load_workload(name)))
    assert diverged.diverged
    assert 0 < diverged.steps < STEPS
    assert diverged.train_loss == float("inf")
    assert not diverged.metrics
    assert all(each.steps == STEPS and not each.diverged for each in finished)
    assert all(each.train_loss < 2 * each.start_loss for each in finished)


@every_trained_workload
def test_test_data_are_measured_only_where_asked(name: str) -> None:
    workload, found = registry.load_workload(name), data(name)
    (search,), (confirm,) = trained(name, (0,)), trained(name, (0,), test=True)
    names = ["loss", *(measure.metric.name for measure in workload.measures)]
    validation = {f"validation_{each}" for each in names if found.validation is not None}
    tested = {f"test_{each}" for each in names if found.test is not None}
    assert set(search.metrics) == validation
    assert set(confirm.metrics) == validation | tested
    assert {each.name for each in search.series} == {"train_loss", "effective_lr"} | validation
    assert {each.name for each in confirm.series} == {"train_loss", "effective_lr"} | validation | tested
