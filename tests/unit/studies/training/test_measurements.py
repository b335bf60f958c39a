"""From a pack's record to its lanes' measurements."""

import math

import torch
from torch import Tensor

from studies.training.lanes import Lanes
from studies.training.measurements import MAX_POINTS, History, build_measurements
from studies.training.task import LaneTask, Task

NAN = math.nan


def record(
    losses: list[list[float]], *, epoch: int = 2, evaluated: tuple[tuple[int, list[float]], ...] = ()
) -> History:
    """Return a record of lanes' losses, given lane by lane; their rates are the steps' numbers."""
    lanes, steps = len(losses), len(losses[0])
    setting = tuple(LaneTask(setting={}, seed=seed) for seed in range(lanes))
    task = Task(workload="w", options={}, steps=steps, steps_per_epoch=epoch, test=False, lanes=setting)
    made, going = History(task, ("w",), "cpu"), list(range(lanes))
    for t, own in enumerate(zip(*losses, strict=True)):
        rates = torch.full((lanes,), t + 1.0, dtype=torch.float64)
        made.add_step(going, torch.tensor(own, dtype=torch.float64), rates)
    for step, values in evaluated:
        made.add_evaluation(step, going, {"validation_accuracy": torch.tensor(values)})
    made.add_final_parameters(
        going, lanes_of(torch.arange(lanes * 3.0).reshape(lanes, 3), [math.isfinite(own[-1]) for own in losses])
    )
    return made


def lanes_of(params: Tensor, alive: list[bool]) -> Lanes:
    return Lanes(params=(params,), buffers=(), state=(), alive=torch.tensor(alive))


def test_the_final_loss_is_the_mean_over_the_last_epoch() -> None:
    (found,) = build_measurements(record([[8.0, 4.0, 2.0, 1.0]]))
    assert (found.start_loss, found.train_loss, found.steps, found.diverged) == (8.0, 1.5, 4, False)


def test_with_a_full_batch_it_is_the_last_step() -> None:
    (found,) = build_measurements(record([[8.0, 4.0, 2.0, 1.0]], epoch=1))
    assert found.train_loss == 1.0


def test_a_diverged_lane_ends_where_its_loss_did() -> None:
    evaluated = ((2, [0.5, 0.5]), (4, [0.9, 0.1]))
    whole, diverged = build_measurements(record([[8.0, 4.0, 2.0, 1.0], [8.0, 1e9, NAN, NAN]], evaluated=evaluated))
    assert (diverged.diverged, diverged.steps, diverged.train_loss) == (True, 2, math.inf)
    assert diverged.metrics == {}
    series = {each.name: each for each in diverged.series}
    assert series["train_loss"].steps == (1, 2)
    assert series["validation_accuracy"].steps == (2,)
    assert whole.metrics["validation_accuracy"] == torch.tensor(0.9).item()
    assert {each.name: each.steps for each in whole.series}["validation_accuracy"] == (2, 4)


def test_a_lane_that_never_took_a_step_has_no_series() -> None:
    (found,) = build_measurements(record([[NAN, NAN]]))
    assert (found.steps, found.diverged, found.series) == (0, True, ())


def test_parameters_that_overflowed_in_the_last_step_are_a_divergence() -> None:
    overflowed = record([[8.0, 4.0]])
    overflowed.add_final_parameters([0], lanes_of(torch.tensor([[1.0, math.inf]]), [True]))
    (found,) = build_measurements(overflowed)
    assert (found.diverged, found.steps, found.train_loss) == (True, 2, math.inf)


def test_parameters_are_the_lanes_own() -> None:
    found = build_measurements(record([[1.0], [1.0]]))
    assert [each.parameters["w"].tolist() for each in found] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_a_stopped_lane_ends_where_it_was_judged() -> None:
    made = record([[8.0, 4.0, NAN, NAN], [8.0, 4.0, 2.0, 1.0]], evaluated=((2, [0.5, 0.6]), (4, [NAN, 0.9])))
    made.add_final_parameters([0], lanes_of(torch.zeros(1, 3), [True]))
    made.add_rung_score(0, 6.0, stopped=True)
    made.add_rung_score(1, 5.0, stopped=False)
    stopped, whole = build_measurements(made)
    assert (stopped.stopped, stopped.diverged, stopped.steps, stopped.train_loss) == (True, False, 2, 6.0)
    assert stopped.metrics["validation_accuracy"] == 0.5
    assert {each.name: each.steps for each in stopped.series}["validation_accuracy"] == (2,)
    assert (stopped.rungs, whole.rungs, whole.stopped) == ((6.0,), (5.0,), False)


def long(steps: int, epoch: int) -> dict[str, tuple[tuple[int, ...], tuple[float, ...]]]:
    (found,) = build_measurements(record([[float(i) for i in range(1, steps + 1)]], epoch=epoch))
    return {each.name: (each.steps, each.values) for each in found.series}


def test_long_series_are_thinned_to_means() -> None:
    steps, values = long(1000, 50)["train_loss"]
    assert len(steps) == MAX_POINTS
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
    together = build_measurements(record(lanes.tolist(), epoch=37))
    alone = [build_measurements(record([lane.tolist()], epoch=37))[0] for lane in lanes]
    assert [each.train_loss for each in together] == [each.train_loss for each in alone]
    assert [each.series for each in together] == [each.series for each in alone]
