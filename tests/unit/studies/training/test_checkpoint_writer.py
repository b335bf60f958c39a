"""Keeping checkpoints: how often, and what is done with a file that is not what it should be."""

import errno
import hashlib
import io
import logging
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from studies import registry
from studies.training import checkpoint
from studies.training.checkpoint import Checkpoint, CheckpointWriter
from studies.training.lanes import EagerStepper, StepperFactory
from studies.training.loop import train
from studies.training.measurements import HistorySnapshot
from studies.training.task import LaneTask, Task
from tests.conformance.studies.test_workloads import bits
from tests.support.training.interrupted_training import CountingStepperFactory, CutError, checkpoint_writer
from tests.unit.studies.training.test_loop import LINE

STEPS = 10
TASK = Task(
    workload="line",
    options={"batch_size": 4},
    steps=STEPS,
    steps_per_epoch=5,
    test=False,
    lanes=(LaneTask(setting={"lr": 0.1, "clip_norm": 0.0}, seed=0),),
)
CHECKPOINT = Checkpoint(
    steps=3,
    active_runs=[0],
    width=None,
    lanes=[torch.zeros(2)],
    stream_states=[],
    history=HistorySnapshot(
        losses=torch.zeros(3, 1),
        rates=torch.zeros(3, 1),
        evaluations=[],
        scores=[(math.inf,)],
        stopped=[False],
        survived=[False],
        params=[()],
    ),
)


def trained(make: StepperFactory = EagerStepper, kept: CheckpointWriter | None = None) -> list[object]:
    return [
        bits(each)
        for each in train(TASK, LINE, registry.load_optimizer("sgd"), Path(), make_stepper=make, checkpoint_writer=kept)
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The checkpoint of a training that was cut after six steps."""
    with pytest.raises(CutError):
        trained(CountingStepperFactory(EagerStepper, most=6), checkpoint_writer(tmp_path))
    (found,) = tmp_path.iterdir()
    return found


class Clock:
    """Tells the time that a test says it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(checkpoint, "time", made)
    return made


def test_a_checkpoint_is_due_once_a_minute_and_the_first_after_one(tmp_path: Path, clock: Clock) -> None:
    kept = CheckpointWriter(tmp_path / "pack-00000.checkpoint", "this", interval=60.0, max_time_share=0.01)
    due: list[float] = []
    while clock.now < 1000 + 250:
        clock.now += 0.5
        if kept.is_due():
            due.append(clock.now - 1000)
            clock.now += 0.125  # what it takes
            kept.save(CHECKPOINT)
    assert due == pytest.approx([60.0, 120.0, 180.0, 240.0], abs=1.0)


def test_checkpoints_that_take_long_are_rare(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = CheckpointWriter(tmp_path / "pack-00000.checkpoint", "this", interval=60.0, max_time_share=0.01)
    write = torch.save

    def slow(saved: object, file: io.BytesIO) -> None:
        clock.now += 5.0
        write(saved, file)

    monkeypatch.setattr(torch, "save", slow)
    due = 0
    while clock.now < 1000 + 7200:
        clock.now += 1.0
        if kept.is_due():
            due += 1
            kept.save(CHECKPOINT)
    assert due == 15  # after a minute, and then every 5 / 0.01 seconds
    assert 5 * (due - 1) <= 7200 * 0.01


def test_a_short_training_writes_none(tmp_path: Path) -> None:
    trained(
        kept=CheckpointWriter(tmp_path / "folder" / "pack-00000.checkpoint", "this", interval=60.0, max_time_share=0.01)
    )
    assert not list(tmp_path.iterdir())


def test_seconds_are_of_all_processes_up_to_their_checkpoints(tmp_path: Path, clock: Clock) -> None:
    first = checkpoint_writer(tmp_path)
    clock.now += 100
    first.save(CHECKPOINT)
    clock.now += 50  # lost
    second = checkpoint_writer(tmp_path)
    assert second.load() is not None
    clock.now += 7
    assert second.seconds == 107
    second.save(CHECKPOINT)
    third = checkpoint_writer(tmp_path)
    assert third.load() is not None
    assert third.seconds == 107


def test_where_there_is_none_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert checkpoint_writer(tmp_path / "nowhere").load() is None
    assert not caplog.records


def test_it_says_where_it_goes_on(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = CountingStepperFactory(EagerStepper)
    assert trained(counted, checkpoint_writer(file.parent)) == trained()
    assert counted.taken == STEPS - 6
    assert [record.getMessage() for record in caplog.records] == [f"{file}: training goes on after 6 steps"]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def a_bit_less(content: bytes) -> bytes:
    return content[:-1]


def one_bit_off(content: bytes) -> bytes:
    return content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:]


def nothing(content: bytes) -> bytes:
    return b""


def something_else(content: bytes) -> bytes:
    return b"a checkpoint of something else" * 100


@pytest.mark.parametrize("change", [half, a_bit_less, one_bit_off, nothing, something_else])
def test_a_torn_file_is_ignored_with_one_line(
    change: Callable[[bytes], bytes], file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(change(file.read_bytes()))
    counted = CountingStepperFactory(EagerStepper)
    assert trained(counted, checkpoint_writer(file.parent)) == trained()
    assert counted.taken == STEPS
    (record,) = caplog.records
    assert "is torn, or of another training or version: the pack is trained whole" in record.getMessage()


def test_a_file_of_another_training_is_ignored_with_one_line(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = CountingStepperFactory(EagerStepper)
    trained(counted, checkpoint_writer(file.parent, "that"))
    assert counted.taken == STEPS
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert checkpoint_writer(file.parent).load() is None  # it was overwritten
    assert checkpoint_writer(file.parent, "that").load() is not None


def test_a_file_that_cannot_be_read_is_ignored_with_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "pack-00000.checkpoint").mkdir()
    assert checkpoint_writer(tmp_path).load() is None
    (record,) = caplog.records
    assert "cannot be read" in record.getMessage()


class Malicious:
    """Runs code where it is unpickled."""

    def __init__(self, touched: Path) -> None:
        self._touched = touched

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._touched,)


def test_a_file_runs_no_code_even_with_the_right_digests(file: Path, tmp_path: Path) -> None:
    body, head = io.BytesIO(), file.read_bytes()[:32]
    torch.save({"training": Malicious(tmp_path / "touched"), "seconds": 0.0}, body)
    file.write_bytes(head + hashlib.sha256(body.getvalue()).digest() + body.getvalue())
    with pytest.raises(pickle.UnpicklingError, match="Weights only"):
        checkpoint_writer(tmp_path).load()
    assert not (tmp_path / "touched").exists()


def test_training_goes_on_where_checkpoints_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert trained(kept=checkpoint_writer(tmp_path / "file")) == trained()
    kept = [record.getMessage() for record in caplog.records if "is not kept" in record.getMessage()]
    assert len(kept) == STEPS - 1


def test_a_full_disk_leaves_the_checkpoint_before(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    checkpoint_writer(file.parent).save(CHECKPOINT)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
    assert "No space left on device" in caplog.text
