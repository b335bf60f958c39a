"""The paper's DNC experiment: the episodes, their probabilities, the loss, and that it learns."""

import math
from pathlib import Path

import pytest
import torch

from studies import registry
from studies.seeds import seeded_generator
from studies.training.loop import train
from studies.training.task import LaneTask, Task
from studies.workloads.dnc_repeat_copy import WORKLOAD, episode

pytestmark = pytest.mark.heavy

OPTIONS = {option.name: option.default for option in WORKLOAD.options}


def test_an_episode_is_as_deepminds() -> None:
    shown, answer = episode(torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0]]), 2)
    flag, one, two, zero = [0, 0, 0, 0, 1, 0], [1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0], [0] * 6
    expected = torch.tensor([flag, one, two, [0, 0, 0, 0, 0, 0.2], zero, zero, zero, zero, zero])
    torch.testing.assert_close(shown, expected)
    one, two, end = [1, 0, 0, 1, 0, 1], [0, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1]
    assert answer.tolist() == [zero, zero, zero, zero, one, two, one, two, end]


def test_a_short_episode_is_padded_by_what_does_not_count() -> None:
    shown, answer = episode(torch.tensor([[1.0, 1, 0, 0]]), 1)
    assert not shown[3:].any()
    assert answer[:, -1].tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0]


def test_lists_every_episode_as_often_as_it_is_probable() -> None:
    found = WORKLOAD.data(OPTIONS, Path("unused"), seeded_generator("dnc_repeat_copy", 0, "problem")).train
    assert found.inputs.shape == (1024, 9, 6)
    different, counts = found.inputs.flatten(1).unique(dim=0, return_counts=True)
    assert len(different) == 2 * (2**4 + 2**8)
    assert sorted(counts.tolist()) == [1] * 512 + [16] * 32
    lengths = found.targets[..., -1].sum(1)  # length times repeats, and the end flag
    assert {int(each): int((lengths == each).sum()) for each in lengths.unique()} == {2: 256, 3: 512, 5: 256}


def test_the_loss_is_in_nats_summed_over_time_and_bits() -> None:
    _, answer = episode(torch.tensor([[1.0, 1, 0, 0]]), 1)
    _, longer = episode(torch.tensor([[1.0, 1, 0, 0]]), 2)
    targets = torch.stack([answer, longer])
    assert float(WORKLOAD.loss(torch.zeros(2, 9, 5), targets)) == pytest.approx((2 + 3) / 2 * 5 * math.log(2))
    certain = torch.where(targets[..., :5] > 0, 100.0, -100.0)
    assert float(WORKLOAD.loss(certain, targets)) == pytest.approx(0)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["l4adam", "adam"])
def test_learns(optimizer: str) -> None:
    found = registry.load_optimizer(optimizer)
    setting = {each.name: each.default for each in found.hyperparameters} | {"lr": 0.01}
    steps = 120
    (run,) = train(
        Task(
            workload="dnc_repeat_copy",
            options=OPTIONS,
            steps=steps,
            steps_per_epoch=20,
            test=False,
            lanes=(LaneTask(setting=setting, seed=0),),
        ),
        WORKLOAD,
        found,
        Path("unused"),
    )
    assert run.train_loss < 0.7 * run.start_loss
