"""Training a pack of a workload made for the test: what it sees, when it measures, who diverges."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from studies import registry
from studies.seeds import seeded_generator
from studies.spec.parameters import Direction, Metric
from studies.training.batches import BatchSampler
from studies.training.lanes import EagerStepper, Lanes, StackedStep
from studies.training.loop import EVALUATION_CHUNK, MAX_EVALUATIONS, train
from studies.training.measurements import Measurement
from studies.training.task import LaneTask, Pruning, Task
from studies.workloads._base import Data, Examples, Measure, Options, Workload

pytestmark = pytest.mark.heavy

EXAMPLES = 20
ALL_GO_ON = Pruning(steps=(1, 2), limits=(None, None))


def some(count: int, drawn: Generator) -> Examples:
    inputs = torch.randn(count, 1, generator=drawn, dtype=torch.float64)
    return Examples(inputs=inputs, targets=3 * inputs + 1)


def data(options: Options, data_dir: Path, drawn: Generator) -> Data:
    # more to validate on than is measured at once, and not a multiple of it
    return Data(train=some(EXAMPLES, drawn), validation=some(2 * EVALUATION_CHUNK + 7, drawn), test=some(30, drawn))


def initialise(module: nn.Module, drawn: Generator) -> None:
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=drawn)


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def worst(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs().mean()


LINE = Workload(
    summary="A line.",
    options=(),
    default_steps=10,
    epoch_examples=EXAMPLES,
    lanes=8,
    dtype=torch.float64,
    has_validation=True,
    data=data,
    model=lambda options: nn.Linear(1, 1),
    initialise=initialise,
    loss=squared,
    measures=(Measure(metric=Metric(name="error", direction=Direction.MINIMIZE, summary="Mean."), function=worst),),
)


def trained(
    rates: Sequence[float] = (0.1,),
    seeds: Sequence[int] = (0,),
    *,
    steps: int = 10,
    epoch: int = 5,
    batch: int | None = 4,
    test: bool = False,
    workload: Workload = LINE,
    pruning: Pruning | None = None,
    width: int | None = None,
) -> tuple[Measurement, ...]:
    task = Task(
        workload="line",
        options={} if batch is None else {"batch_size": batch},
        steps=steps,
        steps_per_epoch=epoch,
        test=test,
        lanes=tuple(
            LaneTask(setting={"lr": lr, "clip_norm": 0.0}, seed=seed) for lr, seed in zip(rates, seeds, strict=True)
        ),
        pruning=pruning or Pruning(),
    )
    return train(task, workload, registry.load_optimizer("sgd"), Path(), width=width)


def series(measured: Measurement) -> dict[str, tuple[tuple[int, ...], tuple[float, ...]]]:
    return {each.name: (each.steps, each.values) for each in measured.series}


def by_hand(lr: float, seed: int, steps: int, batch: int | None) -> tuple[list[float], nn.Module]:
    """Train one lane with torch's own optimizer; return its batch losses and the trained module."""
    module = nn.Linear(1, 1, dtype=torch.float64)
    initialise(module, seeded_generator("line", seed, "init"))
    examples = data({}, Path(), seeded_generator("line", 0, "problem")).train
    order = BatchSampler(EXAMPLES, batch or EXAMPLES, seeded_generator("line", seed, "order"))
    optimizer = torch.optim.SGD(module.parameters(), lr=lr)
    losses: list[float] = []
    for chosen in islice(order, steps):
        optimizer.zero_grad()
        loss = squared(module(examples.inputs[chosen]), examples.targets[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, module


@pytest.mark.parametrize("batch", [4, 7, None], ids=["batches", "uneven batches", "full batch"])
def test_lanes_train_as_single_runs_of_torch_do(batch: int | None) -> None:
    rates, seeds = (0.1, 0.01, 0.1), (0, 0, 1000)
    for lr, seed, found in zip(rates, seeds, trained(rates, seeds, batch=batch), strict=True):
        losses, module = by_hand(lr, seed, 10, batch)
        assert series(found)["train_loss"][1] == pytest.approx(losses, rel=1e-9)
        assert found.start_loss == pytest.approx(losses[0], rel=1e-9)
        assert found.train_loss == pytest.approx(sum(losses[-5:]) / 5, rel=1e-9)
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(found.parameters[name], parameter.detach())


def test_validation_is_the_mean_over_all_its_examples_in_however_many_chunks() -> None:
    (found,) = trained()
    _, module = by_hand(0.1, 0, 10, 4)
    validation = data({}, Path(), seeded_generator("line", 0, "problem")).validation
    assert validation is not None
    outputs = module(validation.inputs).detach()
    assert found.metrics == pytest.approx(
        {
            "validation_loss": float(squared(outputs, validation.targets)),
            "validation_error": float(worst(outputs, validation.targets)),
        }
    )


def test_test_data_change_nothing_and_are_not_measured_unless_asked() -> None:
    def spoiled(options: Options, data_dir: Path, drawn: Generator) -> Data:
        whole = data(options, data_dir, drawn)
        return replace(whole, test=Examples(inputs=torch.full((3, 9), math.nan), targets=torch.zeros(3)))

    # the spoiled test data would not even fit the model
    unread, plain = trained(workload=replace(LINE, data=spoiled)), trained()
    assert [each.metrics for each in unread] == [each.metrics for each in plain]
    assert [each.series for each in unread] == [each.series for each in plain]
    (asked,) = trained(test=True)
    assert set(asked.metrics) - set(plain[0].metrics) == {"test_loss", "test_error"}
    assert asked.train_loss == plain[0].train_loss


def test_without_validation_data_nothing_is_measured() -> None:
    def bare(options: Options, data_dir: Path, drawn: Generator) -> Data:
        return Data(train=some(EXAMPLES, drawn))

    (found,) = trained(test=True, workload=replace(LINE, data=bare, has_validation=False))
    assert found.metrics == {}
    assert set(series(found)) == {"train_loss", "effective_lr"}


@pytest.mark.parametrize(
    ("steps", "epoch", "measured"),
    [
        (10, 5, (5, 10)),
        (12, 5, (5, 10, 12)),
        (3, 5, (3,)),
        (40, 1, tuple(range(1, 41))),
        (41, 1, (*range(2, 41, 2), 41)),
        (90, 1, tuple(range(3, 91, 3))),
    ],
)
def test_measures_at_ends_of_epochs_and_at_the_end(steps: int, epoch: int, measured: tuple[int, ...]) -> None:
    (found,) = trained(steps=steps, epoch=epoch)
    assert series(found)["validation_loss"][0] == measured
    assert len(measured) <= MAX_EVALUATIONS
    assert series(found)["validation_loss"][1][-1] == found.metrics["validation_loss"]


def test_a_lane_that_diverges_leaves_the_others_bitwise_as_they_were() -> None:
    rates, seeds = (0.1, 1e200, 0.01), (0, 1, 2)
    first, diverged, third = trained(rates, seeds)
    assert (first, third) == (Same(trained((0.1,), (0,))[0]), Same(trained((0.01,), (2,))[0]))
    assert diverged.diverged
    assert 0 < diverged.steps < 10
    assert (diverged.train_loss, diverged.metrics) == (math.inf, {})
    assert all(value.isfinite().all() for value in diverged.parameters.values())


def test_parameters_that_overflow_in_the_last_step_are_a_divergence() -> None:
    rate = 1e308
    (found,) = trained((rate,), steps=1, epoch=1, batch=None)
    assert math.isfinite(found.start_loss)
    assert (found.diverged, found.steps, found.train_loss, found.metrics) == (True, 1, math.inf, {})


def test_a_drawn_problem_is_the_lanes_own_and_a_shared_one_is_read_once() -> None:
    read: list[int] = []

    def counted(options: Options, data_dir: Path, drawn: Generator) -> Data:
        read.append(drawn.initial_seed())
        return data(options, data_dir, drawn)

    # the same weights, the same order, only the problem differs between the two
    same = trained((0.0, 0.0), (3, 3), batch=None, workload=replace(LINE, data=counted))
    assert len(read) == 1
    assert same[0].start_loss == same[1].start_loss
    read.clear()
    drawn = trained((0.0, 0.0, 0.0), (3, 4, 3), batch=None, workload=replace(LINE, data=counted, data_per_seed=True))
    assert [read[0] == read[1], read[0] == read[2]] == [False, True]
    assert drawn[0].start_loss == drawn[2].start_loss != drawn[1].start_loss


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    (first,) = trained()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert trained() == (Same(first),)


class Same:
    """Equal to a measurement with the same bits."""

    def __init__(self, measured: Measurement) -> None:
        self._measured = measured

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Measurement)
        own, parameters = replace(self._measured, parameters={}), self._measured.parameters
        return own == replace(other, parameters={}) and all(
            torch.equal(parameters[name], value) for name, value in other.parameters.items()
        )


@pytest.mark.parametrize("width", [None, 8], ids=["as many lanes as runs", "dead lanes"])
@pytest.mark.parametrize("objective", ["train_loss", "validation_error"])
def test_runs_that_are_behind_leave_and_the_others_go_on_as_they_would(objective: str, width: int | None) -> None:
    rates, seeds = (0.1, 1e-4, 0.05, 1e300, 0.1), (0, 1, 2, 3, 4)
    whole = trained(rates, seeds)
    at = trained(rates, seeds, pruning=Pruning(steps=(5,), limits=(None,), objective=objective), width=width)
    scores = [found.rungs[0] for found in at]
    limit = sorted(scores)[2]

    found = trained(
        rates,
        seeds,
        pruning=Pruning(steps=(5, 8), limits=(limit, None), objective=objective),
        width=width,
    )
    going = [i for i, score in enumerate(scores) if score <= limit]
    assert 3 not in going
    assert len(going) == 3
    for i, (mine, all_of_it) in enumerate(zip(found, whole, strict=True)):
        if i == 3:
            assert (mine.diverged, mine.stopped, mine.steps) == (True, False, all_of_it.steps)
        elif i in going:
            assert (mine.stopped, mine.steps, len(mine.rungs)) == (False, 10, 2)
            assert mine.train_loss == all_of_it.train_loss
            assert mine.metrics == all_of_it.metrics
            assert all(torch.equal(mine.parameters[name], each) for name, each in all_of_it.parameters.items())
        else:
            assert (mine.stopped, mine.diverged, mine.steps, mine.rungs) == (True, False, 5, (scores[i],))
            assert series(mine)["train_loss"][1] == series(all_of_it)["train_loss"][1][:5]
            assert math.isfinite(mine.metrics["validation_error"])


def test_a_pack_whose_runs_all_leave_ends() -> None:
    found = trained((0.1, 0.1), (0, 1), steps=100_000, pruning=Pruning(steps=(5,), limits=(-1.0,)))
    assert [(each.stopped, each.steps) for each in found] == [(True, 5), (True, 5)]


def test_a_larger_objective_may_be_better() -> None:
    rates, seeds = (0.1, 1e-4), (0, 1)
    low, high = sorted(run.rungs[0] for run in trained(rates, seeds, pruning=Pruning(steps=(5,), limits=(None,))))
    judged = Pruning(steps=(5,), limits=((low + high) / 2,), direction=Direction.MAXIMIZE)
    assert {run.rungs[0]: run.stopped for run in trained(rates, seeds, pruning=judged)} == {low: True, high: False}


@pytest.mark.parametrize(("width", "expected"), [(None, [6, 5, 3]), (8, [8, 8, 4])])
def test_a_pack_is_as_narrow_as_its_runs_allow_after_every_rung(width: int | None, expected: list[int]) -> None:
    lanes = tuple(LaneTask(setting={"lr": 0.1, "clip_norm": 0.0}, seed=seed) for seed in range(6))
    task = Task(workload="line", options={}, steps=3, steps_per_epoch=1, test=False, lanes=lanes)
    scores = sorted(run.rungs for run in trained([0.1] * 6, range(6), steps=3, epoch=1, batch=None, pruning=ALL_GO_ON))
    judged = Pruning(steps=(1, 2), limits=(scores[4][0], sorted(second for _, second in scores[:5])[2]))
    widths: list[int] = []

    def make(step: StackedStep, start: Lanes) -> EagerStepper:
        widths.append(len(start.alive))
        return EagerStepper(step, start)

    train(replace(task, pruning=judged), LINE, registry.load_optimizer("sgd"), Path(), make_stepper=make, width=width)
    assert widths == expected
