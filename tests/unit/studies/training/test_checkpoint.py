"""Training that is cut anywhere and goes on from its file: all that it measures, bit by bit."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studies import registry
from studies.training.checkpoint import CheckpointWriter
from studies.training.lanes import EagerStepper, StepperFactory
from studies.training.loop import train
from studies.training.measurements import BLOCK_STEPS, Measurement
from studies.training.task import LaneTask, Pruning, Task
from tests.conformance.studies.test_workloads import bits
from tests.support.training.interrupted_training import CountingStepperFactory, train_in_parts
from tests.unit.studies.training.test_loop import LINE
from tests.unit.studies.training.test_loop_parts import HALVED, OPTIONS, PLAIN, augment, noise, penalty

pytestmark = pytest.mark.heavy

STEPS, RUNGS = 12, (4, 9)
#: Everything that a workload may draw while it trains; batch norm besides.
NET = replace(PLAIN, augment=augment, noise=noise, penalty=penalty)
MOMENTUM = registry.load_optimizer("momentum")
#: The third run diverges.
RATES, SEEDS = (0.05, 1e-5, 1e200, 0.02, 0.01), (0, 1, 2, 1000, 3)
TASK = Task(
    workload="net",
    options=OPTIONS,
    steps=STEPS,
    steps_per_epoch=5,
    test=False,
    lanes=tuple(
        LaneTask(setting={each.name: each.default for each in MOMENTUM.hyperparameters} | {"lr": lr}, seed=seed)
        for lr, seed in zip(RATES, SEEDS, strict=True)
    ),
    schedules={"lr": HALVED},
)


def trained(
    pruning: Pruning, width: int | None, replacement: bool, make: StepperFactory, keeper: CheckpointWriter | None
) -> tuple[Measurement, ...]:
    torch.set_num_threads(1)
    workload = replace(NET, replacement=replacement)
    return train(
        replace(TASK, pruning=pruning),
        workload,
        MOMENTUM,
        Path(),
        make_stepper=make,
        width=width,
        checkpoint_writer=keeper,
    )


@cache
def judged(replacement: bool) -> Pruning:
    """Return rungs at which runs leave: the diverged one and the worst at the first, another one at the second."""
    first = trained(Pruning(steps=RUNGS, limits=(None, None)), None, replacement, EagerStepper, None)
    limit = sorted(run.rungs[0] for run in first)[2]
    second = trained(Pruning(steps=RUNGS, limits=(limit, None)), None, replacement, EagerStepper, None)
    return Pruning(steps=RUNGS, limits=(limit, sorted(run.rungs[1] for run in second if len(run.rungs) == 2)[1]))


@cache
def whole(width: int | None, replacement: bool) -> tuple[Measurement, ...]:
    found = trained(judged(replacement), width, replacement, EagerStepper, None)
    assert sorted((run.diverged, run.stopped, len(run.rungs)) for run in found) == [
        (False, False, 2),
        (False, False, 2),
        (False, True, 1),
        (False, True, 2),
        (True, False, 1),
    ]
    return found


@pytest.mark.slow
@settings(max_examples=40)
@given(
    cuts=st.lists(st.integers(0, STEPS - 1), min_size=1, max_size=3).map(sorted),
    width=st.sampled_from([None, 8]),
    replacement=st.booleans(),
)
@example(cuts=[3], width=8, replacement=False)
@example(cuts=[4], width=8, replacement=False)
@example(cuts=[8, 9], width=8, replacement=True)
@example(cuts=[5, 10], width=None, replacement=False)
def test_it_measures_what_it_would_have_wherever_it_is_cut(
    cuts: list[int], width: int | None, replacement: bool
) -> None:
    def run(make: StepperFactory, keeper: CheckpointWriter | None) -> tuple[Measurement, ...]:
        return trained(judged(replacement), width, replacement, make, keeper)

    with tempfile.TemporaryDirectory() as folder:
        found, last = train_in_parts(run, EagerStepper, cuts, Path(folder))
    assert [bits(each) for each in found] == [bits(each) for each in whole(width, replacement)]
    assert last.taken == STEPS - cuts[-1]


@pytest.mark.slow
def test_a_long_record_goes_on_in_the_middle_of_a_block(tmp_path: Path) -> None:
    task = Task(
        workload="line",
        options={"batch_size": 7},
        steps=2 * BLOCK_STEPS + 50,
        steps_per_epoch=100,
        test=True,
        lanes=tuple(LaneTask(setting={"lr": 0.01, "clip_norm": 0.0}, seed=seed) for seed in (0, 1)),
    )

    def run(make: StepperFactory, keeper: CheckpointWriter | None) -> tuple[Measurement, ...]:
        return train(task, LINE, registry.load_optimizer("sgd"), Path(), make_stepper=make, checkpoint_writer=keeper)

    found, last = train_in_parts(run, EagerStepper, [BLOCK_STEPS + 17], tmp_path)
    assert [bits(each) for each in found] == [bits(each) for each in run(EagerStepper, None)]
    assert last.taken == BLOCK_STEPS + 33


def test_a_drawn_problem_and_a_full_batch_go_on(tmp_path: Path) -> None:
    task = Task(
        workload="line",
        options={},
        steps=8,
        steps_per_epoch=1,
        test=False,
        lanes=tuple(LaneTask(setting={"lr": 0.1, "clip_norm": 0.0}, seed=seed) for seed in (0, 1, 2)),
        pruning=Pruning(steps=(3,), limits=(None,)),
    )

    def run(make: StepperFactory, keeper: CheckpointWriter | None) -> tuple[Measurement, ...]:
        return train(
            task,
            replace(LINE, data_per_seed=True),
            registry.load_optimizer("sgd"),
            Path(),
            make_stepper=make,
            checkpoint_writer=keeper,
        )

    found, _ = train_in_parts(run, EagerStepper, [2, 6], tmp_path)
    assert [bits(each) for each in found] == [bits(each) for each in run(EagerStepper, None)]


@pytest.mark.parametrize(("cut", "widths"), [(3, [8, 4, 2]), (4, [4, 2]), (9, [2])])
def test_a_pack_goes_on_as_narrow_as_it_was(cut: int, widths: list[int], tmp_path: Path) -> None:
    def run(make: StepperFactory, keeper: CheckpointWriter | None) -> tuple[Measurement, ...]:
        return trained(judged(False), 8, False, make, keeper)

    every = CountingStepperFactory(EagerStepper)
    run(every, None)
    assert every.widths == [8, 4, 2]
    _, last = train_in_parts(run, EagerStepper, [cut], tmp_path)
    assert last.widths == widths
