"""A pack's training in a worker: what travels back, and what goes wrong on purpose."""

import io
import math
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._inductor import config

from studies import registry
from studies.errors import DataMissingError, OutOfMemoryError
from studies.execution.artifacts import CheckpointStore
from studies.execution.jobs import Job
from studies.execution.worker import train_pack
from studies.optimizers._base import Setting
from studies.records.rows import Mode
from studies.training.lanes import EagerStepper, Inputs
from studies.training.loop import train
from studies.training.task import LaneTask, Pruning, Task

pytestmark = pytest.mark.heavy


def job(workload: str = "digits_mlp", *, steps: int = 5, test: bool = True, **options: float) -> Job:
    given = {option.name: option.default for option in registry.load_workload(workload).options} | options
    lanes = tuple(LaneTask(setting={"lr": lr, "clip_norm": 0.0}, seed=seed) for lr, seed in ((0.1, 0), (0.01, 1)))
    task = Task(workload=workload, options=given, steps=steps, steps_per_epoch=5, test=test, lanes=lanes)
    return Job(
        number=3,
        optimizer="sgd",
        task=task,
        threads=1,
        mode=Mode.EAGER,
        width=None,
        data_dir=Path("nowhere"),
        programs=Path("nowhere"),
        checkpoints=CheckpointStore(folder=Path("nowhere")),
    )


def test_brings_back_what_training_measured() -> None:
    sent = pickle.loads(pickle.dumps(job()))
    result = pickle.loads(pickle.dumps(train_pack(sent, "cpu")))
    expected = train(sent.task, registry.load_workload("digits_mlp"), registry.load_optimizer("sgd"), Path("nowhere"))
    assert result.measurements == tuple(replace(each, parameters={}) for each in expected)
    assert result.seconds > 0
    assert result.host
    for saved, measured in zip(result.parameters, expected, strict=True):
        parameters = torch.load(io.BytesIO(saved), weights_only=True)
        assert list(parameters) == list(measured.parameters)
        assert all(torch.equal(parameters[name], value) for name, value in measured.parameters.items())


class Killed(BaseException):
    """The end of a worker."""


def killed_at(steps: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have a worker die at the step after so many; return what counts its steps."""
    taken, advance = [0], EagerStepper.advance

    def counted(stepper: EagerStepper, inputs: Inputs, targets: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        if taken[0] == steps:
            raise Killed
        taken[0] += 1
        return advance(stepper, inputs, targets, setting)

    monkeypatch.setattr(EagerStepper, "advance", counted)
    return taken


def die_training(sent: Job) -> None:
    """Train a job in a worker that dies just before the end."""
    with pytest.MonkeyPatch.context() as patched:
        killed_at(sent.task.steps - 1, patched)
        with pytest.raises(Killed):
            train_pack(sent, "cpu")


def long_job(folder: Path) -> Job:
    """Return a job that writes a checkpoint before every step but the first."""
    return replace(
        job(steps=30), checkpoints=CheckpointStore(folder=folder, interval_seconds=0.0, max_overhead=math.inf)
    )


def test_goes_on_where_another_worker_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = long_job(tmp_path)
    die_training(sent)
    taken = killed_at(1000, monkeypatch)
    result = train_pack(sent, "cpu")
    assert taken[0] == 1
    whole = train_pack(job(steps=30), "cpu")
    assert (result.measurements, result.parameters) == (whole.measurements, whole.parameters)


def test_another_job_or_the_same_one_in_another_way_is_trained_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = long_job(tmp_path)
    die_training(sent)
    file = sent.checkpoints.path(sent.number)
    content = file.read_bytes()
    first, second = sent.task.lanes
    others = (
        replace(sent, task=replace(sent.task, lanes=(first,))),  # as one that was halved
        replace(sent, task=replace(sent.task, lanes=(second, first))),
        replace(sent, task=replace(sent.task, pruning=Pruning(steps=(29,), limits=(None,)))),
        replace(sent, task=replace(sent.task, test=False)),
        replace(
            sent, optimizer="momentum", task=replace(sent.task, lanes=(with_momentum(first), with_momentum(second)))
        ),
        replace(sent, threads=2),
    )
    threads = torch.get_num_threads()
    try:
        for other in others:
            file.write_bytes(content)
            with monkeypatch.context() as counting:
                taken = killed_at(1000, counting)
                train_pack(other, "cpu")
                assert taken[0] == 30
    finally:
        torch.set_num_threads(threads)


def with_momentum(lane: LaneTask) -> LaneTask:
    return replace(lane, setting={**lane.setting, "momentum": 0.9})


def test_a_compiled_pack_goes_on_compiled_and_an_eager_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = replace(long_job(tmp_path), mode=Mode.COMPILED, width=2, programs=tmp_path)
    whole = train_pack(sent, "cpu")
    written = sent.checkpoints.path(sent.number)
    assert written.exists()
    again = train_pack(sent, "cpu")  # its last checkpoint is still there
    assert "training goes on after" in caplog.text
    assert (again.measurements, again.parameters) == (whole.measurements, whole.parameters)
    taken = killed_at(1000, monkeypatch)
    assert train_pack(replace(sent, mode=Mode.EAGER, width=None), "cpu").mode is Mode.EAGER
    assert taken[0] == 30


def test_trains_with_the_threads_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        train_pack(replace(job(), threads=2), "cpu")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_too_large_a_net_is_told_in_plain_words() -> None:
    with pytest.raises(OutOfMemoryError, match="a pack of 2 lanes of digits_mlp did not fit into the memory"):
        train_pack(job(hidden=10**12), "cpu")


def test_data_that_are_neither_here_nor_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # nothing listens there: as on a machine without network
    with pytest.raises(DataMissingError, match="L4_DATA_DIR"):
        train_pack(replace(job("mnist_mlp"), data_dir=tmp_path), "cpu")


@pytest.mark.slow
def test_a_compiled_pack_with_dead_lanes_brings_back_its_own_runs(tmp_path: Path) -> None:
    compiled = train_pack(replace(job(), mode=Mode.COMPILED, width=4, programs=tmp_path), "cpu")
    eager = train_pack(job(), "cpu")
    assert compiled.mode is Mode.COMPILED
    assert [each.train_loss for each in compiled.measurements] == pytest.approx(
        [each.train_loss for each in eager.measurements], rel=1e-4
    )
    assert len(compiled.parameters) == 2
    assert len(list(tmp_path.rglob("digits_mlp-sgd-4-*.program"))) == 1


@pytest.mark.slow
def test_a_compiled_pack_goes_on_narrower_when_runs_have_left(tmp_path: Path) -> None:
    sent = job(test=False, steps=20)
    lanes = tuple(LaneTask(setting={"lr": lr, "clip_norm": 0.0}, seed=0) for lr in (0.1, 1e-5, 0.05, 1e-4))
    sent = replace(sent, task=replace(sent.task, lanes=lanes), programs=tmp_path)
    losses = [sum(loss.series[0].values[:5]) / 5 for loss in train_pack(sent, "cpu").measurements]
    judged = Pruning(steps=(5, 10), limits=(sum(sorted(losses)[1:3]) / 2, None))
    sent = replace(sent, task=replace(sent.task, pruning=judged))
    eager = train_pack(sent, "cpu").measurements
    compiled = train_pack(replace(sent, mode=Mode.COMPILED, width=4), "cpu").measurements
    assert [each.stopped for each in compiled] == [each.stopped for each in eager] == [False, True, False, True]
    assert [each.steps for each in compiled] == [20, 5, 20, 5]
    for mine, other in zip(compiled, eager, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-4)
    assert sorted(path.name.split("-")[2] for path in tmp_path.rglob("*.program")) == ["2", "4"]


def test_trains_eagerly_where_there_is_no_compiler(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        result = train_pack(replace(job(), mode=Mode.COMPILED, width=2, programs=tmp_path), "cpu")
    assert result.mode is Mode.EAGER
    assert [each.train_loss for each in result.measurements] == [
        each.train_loss for each in train_pack(job(), "cpu").measurements
    ]
    (record,) = [each for each in caplog.records if each.name == "studies.execution.worker"]
    assert "could not be compiled" in record.message
    assert record.message.endswith("pack 3 trains eagerly")
