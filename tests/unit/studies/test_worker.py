"""A pack's training in a worker: what travels back, and what goes wrong on purpose."""

import io
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from studies import registry
from studies.errors import DataMissingError, OutOfMemoryError
from studies.speeds import Mode
from studies.task import LaneTask, Task
from studies.train import train
from studies.worker import Job, work


def job(workload: str = "digits_mlp", *, steps: int = 5, test: bool = True, **options: float) -> Job:
    given = {option.name: option.default for option in registry.workload(workload).options} | options
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
    )


def test_brings_back_what_training_measured() -> None:
    sent = pickle.loads(pickle.dumps(job()))
    result = pickle.loads(pickle.dumps(work(sent, "cpu")))
    expected = train(sent.task, registry.workload("digits_mlp"), registry.optimizer("sgd"), Path("nowhere"))
    assert result.measurements == tuple(replace(each, parameters={}) for each in expected)
    assert result.seconds > 0
    assert result.host
    for saved, measured in zip(result.parameters, expected, strict=True):
        parameters = torch.load(io.BytesIO(saved), weights_only=True)
        assert list(parameters) == list(measured.parameters)
        assert all(torch.equal(parameters[name], value) for name, value in measured.parameters.items())


def test_trains_with_the_threads_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        work(replace(job(), threads=2), "cpu")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_too_large_a_net_is_told_in_plain_words() -> None:
    with pytest.raises(OutOfMemoryError, match="a pack of 2 lanes of digits_mlp did not fit into the memory"):
        work(job(hidden=10**12), "cpu")


def test_data_that_are_neither_here_nor_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # nothing listens there: as on a machine without network
    with pytest.raises(DataMissingError, match="L4_DATA_DIR"):
        work(replace(job("mnist_mlp"), data_dir=tmp_path), "cpu")
