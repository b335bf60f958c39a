"""From a pack's record to its lanes' measurements."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from studies.measurements import POINTS, Record, measurements

NAN = math.nan


def record(losses: list[list[float]], *, epoch: int = 2, evaluated: tuple[tuple[int, list[float]], ...] = ()) -> Record:
    """Return a record of lanes' losses, given lane by lane; their rates are the steps' numbers."""
    own = torch.tensor(losses, dtype=torch.float64).T
    steps, lanes = own.shape
    rates = torch.arange(1.0, steps + 1, dtype=torch.float64)[:, None].expand(steps, lanes)
    return Record(
        steps=steps,
        steps_per_epoch=epoch,
        losses=own,
        rates=rates,
        evaluated=[(step, {"validation_accuracy": torch.tensor(values)}) for step, values in evaluated],
        survived=own[-1].isfinite(),
        names=("w",),
        params=(torch.arange(lanes * 3.0).reshape(lanes, 3),),
    )


def test_the_final_loss_is_the_mean_over_the_last_epoch() -> None:
    (found,) = measurements(record([[8.0, 4.0, 2.0, 1.0]]))
    assert (found.start_loss, found.train_loss, found.steps, found.diverged) == (8.0, 1.5, 4, False)


def test_with_a_full_batch_it_is_the_last_step() -> None:
    (found,) = measurements(record([[8.0, 4.0, 2.0, 1.0]], epoch=1))
    assert found.train_loss == 1.0


def test_a_diverged_lane_ends_where_its_loss_did() -> None:
    evaluated = ((2, [0.5, 0.5]), (4, [0.9, 0.1]))
    whole, diverged = measurements(record([[8.0, 4.0, 2.0, 1.0], [8.0, 1e9, NAN, NAN]], evaluated=evaluated))
    assert (diverged.diverged, diverged.steps, diverged.train_loss) == (True, 2, math.inf)
    assert diverged.metrics == {}
    series = {each.name: each for each in diverged.series}
    assert series["train_loss"].steps == (1, 2)
    assert series["validation_accuracy"].steps == (2,)
    assert whole.metrics["validation_accuracy"] == torch.tensor(0.9).item()
    assert {each.name: each.steps for each in whole.series}["validation_accuracy"] == (2, 4)


def test_a_lane_that_never_took_a_step_has_no_series() -> None:
    (found,) = measurements(record([[NAN, NAN]]))
    assert (found.steps, found.diverged, found.series) == (0, True, ())


def test_parameters_that_overflowed_in_the_last_step_are_a_divergence() -> None:
    (found,) = measurements(replace(record([[8.0, 4.0]]), survived=torch.tensor([False])))
    assert (found.diverged, found.steps, found.train_loss) == (True, 2, math.inf)


def test_parameters_are_the_lanes_own() -> None:
    found = measurements(record([[1.0], [1.0]]))
    assert [each.parameters["w"].tolist() for each in found] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def long(steps: int, epoch: int) -> dict[str, tuple[tuple[int, ...], tuple[float, ...]]]:
    (found,) = measurements(record([[float(i) for i in range(1, steps + 1)]], epoch=epoch))
    return {each.name: (each.steps, each.values) for each in found.series}


def test_long_series_are_thinned_to_means() -> None:
    steps, values = long(1000, 50)["train_loss"]
    assert len(steps) == POINTS
    assert (steps[0], steps[-1]) == (5, 1000)
    assert (values[0], values[-1]) == (3.0, 998.0)  # of steps 1 to 5, and 996 to 1000


def test_no_mean_is_longer_than_an_epoch() -> None:
    steps, values = long(1000, 1)["train_loss"]
    assert values == tuple(float(step) for step in steps)


def test_the_last_step_is_always_there() -> None:
    assert long(1001, 10)["train_loss"][0][-1] == 1001


def test_effective_rates_are_not_averaged() -> None:
    steps, values = long(1000, 50)["effective_lr"]
    assert values == tuple(float(step) for step in steps)


def test_a_lane_measures_the_same_in_any_pack() -> None:
    generator = torch.Generator().manual_seed(0)
    lanes: Tensor = torch.rand(8, 37, generator=generator, dtype=torch.float64)
    together = measurements(record(lanes.tolist(), epoch=37))
    alone = [measurements(record([lane.tolist()], epoch=37))[0] for lane in lanes]
    assert [each.train_loss for each in together] == [each.train_loss for each in alone]
    assert [each.series for each in together] == [each.series for each in alone]
