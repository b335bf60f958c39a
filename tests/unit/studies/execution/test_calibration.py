"""Measuring the speeds of packs: as much of it as repays itself."""

from dataclasses import replace
from pathlib import Path

import pytest
from torch._inductor import config

from studies import registry
from studies.errors import OutOfMemoryError
from studies.execution import calibration
from studies.execution.calibration import calibrate, expected_saving
from studies.execution.jobs import Probe
from studies.planning.throughput import MIN_SAVED_SHARE, Speed
from studies.records.rows import Mode
from studies.training.task import LaneTask, Task

pytestmark = pytest.mark.heavy


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    options = {option.name: option.default for option in registry.load_workload("digits_mlp").options}
    lanes = (LaneTask(setting={"lr": 0.1, "clip_norm": 0.0}, seed=0),)
    return Probe(
        number=-1,
        optimizer="sgd",
        task=Task(workload="digits_mlp", options=options, steps=5, steps_per_epoch=5, test=False, lanes=lanes),
        start_lanes=4,
        min_lanes=1,
        max_lanes=8,
        lane_steps=1,
        threads=1,
        data_dir=tmp_path,
        programs=tmp_path / "programs",
    )


def test_little_to_train_is_measured_once(probe: Probe) -> None:
    (only,) = calibrate(probe, "cpu")
    assert (only.lanes, only.mode, only.compile_seconds) == (4, Mode.EAGER, 0.0)
    assert only.seconds > 0
    assert not probe.programs.exists()


def test_no_more_lanes_than_runs(probe: Probe) -> None:
    (only,) = calibrate(replace(probe, max_lanes=3), "cpu")
    assert only.lanes == 3


def test_more_to_train_repays_trying_other_sizes(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MIN_COMPILE_SECONDS", float("inf"))
    found = calibrate(replace(probe, lane_steps=10**9), "cpu")
    assert {speed.mode for speed in found} == {Mode.EAGER}
    assert [speed.lanes for speed in found][:2] == [4, 8]
    assert all(probe.min_lanes <= speed.lanes <= probe.max_lanes for speed in found)


@pytest.mark.slow
def test_much_to_train_repays_compiling(probe: Probe) -> None:
    chosen = replace(probe, lane_steps=10**9, start_lanes=2, min_lanes=2, max_lanes=2)
    eager, compiled = calibrate(chosen, "cpu")
    assert (eager.mode, compiled.mode) == (Mode.EAGER, Mode.COMPILED)
    assert compiled.compile_seconds > 0
    assert len(list(probe.programs.rglob("*.program"))) == 1
    again = calibrate(chosen, "cpu")[1]
    assert (again.lanes, again.mode, again.compile_seconds) == (2, Mode.COMPILED, 0.0)


def eager(seconds: dict[int, float]) -> list[Speed]:
    return [Speed(lanes=lanes, mode=Mode.EAGER, seconds=each) for lanes, each in seconds.items()]


@pytest.mark.parametrize(
    ("seconds", "share"),
    [
        ({5: 1.0}, MIN_SAVED_SHARE),  # nothing is known of it
        ({5: 1.36, 2: 1.24}, 1.16 / 1.36),  # nearly all of it is dispatch
        ({2: 2.0, 4: 4.0}, MIN_SAVED_SHARE),  # nothing is
        ({2: 2.0, 4: 5.0}, MIN_SAVED_SHARE),
        ({8: 1.2, 16: 1.0}, 1.2),  # no more than all is saved, whatever was measured
    ],
)
def test_compiling_saves_what_does_not_grow_with_the_lanes(seconds: dict[int, float], share: float) -> None:
    assert expected_saving(eager(seconds)) == pytest.approx(min(share, 1.0))


def test_measures_eager_packs_alone_where_there_is_no_compiler(probe: Probe, caplog: pytest.LogCaptureFixture) -> None:
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        found = calibrate(replace(probe, lane_steps=10**9, start_lanes=2, min_lanes=2, max_lanes=2), "cpu")
    assert [speed.mode for speed in found] == [Mode.EAGER]
    assert "digits_mlp trains eagerly" in caplog.text


def test_too_large_a_net_is_told_in_plain_words(probe: Probe) -> None:
    task = replace(probe.task, options={**probe.task.options, "hidden": 10**12})
    with pytest.raises(OutOfMemoryError, match="a pack of 4 lanes of digits_mlp did not fit into the memory"):
        calibrate(replace(probe, task=task), "cpu")
