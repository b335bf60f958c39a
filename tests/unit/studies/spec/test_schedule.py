"""Schedules take the factors of torch's own schedulers, step by step."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import Parameter
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler, MultiStepLR, SequentialLR

from studies.spec.schedule import Schedule, ScheduleKind

STEPS = 250
Make = Callable[[SGD, int], LRScheduler]


def torchs(make: Make, warm: int) -> list[float]:
    """Return the factors of a scheduler after a warm-up; it is given how many steps are left to it."""
    optimizer = SGD([Parameter(torch.zeros(1))], lr=1.0)
    after = make(optimizer, STEPS - warm)
    scheduler = after
    if warm:
        first = LinearLR(optimizer, start_factor=1 / (warm + 1), total_iters=warm)
        scheduler = SequentialLR(optimizer, [first, after], [warm])
    found: list[float] = []
    for _ in range(STEPS):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


CASES: dict[str, tuple[Schedule, Make]] = {
    "constant": (Schedule(kind=ScheduleKind.CONSTANT), lambda sgd, left: ConstantLR(sgd, factor=1.0)),
    "piecewise": (
        Schedule(kind=ScheduleKind.PIECEWISE, milestones=(0.4, 0.6, 0.8)),
        lambda sgd, left: MultiStepLR(
            sgd, milestones=[100 - (STEPS - left), 150 - (STEPS - left), 200 - (STEPS - left)]
        ),
    ),
    "cosine": (
        Schedule(kind=ScheduleKind.COSINE, final=0.01),
        lambda sgd, left: CosineAnnealingLR(sgd, T_max=left, eta_min=0.01),
    ),
}


@pytest.mark.parametrize("warmup", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("kind", list(CASES))
def test_is_torchs(kind: str, warmup: float) -> None:
    schedule, make = CASES[kind]
    schedule = Schedule(
        kind=schedule.kind, milestones=schedule.milestones, gamma=schedule.gamma, final=schedule.final, warmup=warmup
    )
    found = [schedule.factor(step, STEPS) for step in range(STEPS)]
    assert found == pytest.approx(torchs(make, round(warmup * STEPS)), rel=1e-9)
    assert max(found) == pytest.approx(1)


def test_every_kind_is_compared() -> None:
    assert {schedule.kind for schedule, _ in CASES.values()} == set(ScheduleKind)


def test_a_shorter_run_has_the_same_shape() -> None:
    policy = Schedule(kind=ScheduleKind.PIECEWISE, milestones=(0.4, 0.6, 0.8))
    assert [policy.factor(step, 5) for step in range(5)] == pytest.approx([1, 1, 0.1, 0.01, 0.001])


def test_the_start_of_a_run_of_any_length_has_the_whole_value() -> None:
    policy = Schedule(kind=ScheduleKind.PIECEWISE, milestones=(0.4, 0.6, 0.8))
    assert [policy.factor(0, steps) for steps in (1, 2, 3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("schedule", "extremes"),
    [
        (Schedule(kind=ScheduleKind.CONSTANT), (1, 1)),
        (Schedule(kind=ScheduleKind.CONSTANT, warmup=0.1), (0, 1)),
        (Schedule(kind=ScheduleKind.PIECEWISE, milestones=(0.2, 0.4), gamma=3), (1, 9)),
        (Schedule(kind=ScheduleKind.COSINE, final=0.5), (0.5, 1)),
    ],
)
def test_factors_lie_between_its_extremes(schedule: Schedule, extremes: tuple[float, float]) -> None:
    assert schedule.extremes == pytest.approx(extremes)
    assert all(extremes[0] <= schedule.factor(step, 50) <= extremes[1] for step in range(50))
