"""The files of a study: checkpoints, and final parameters, written whole or not at all."""

import os
from pathlib import Path

import pytest

from studies.execution.artifacts import CheckpointStore, ParameterStore
from studies.records.rows import Outcome, Run
from studies.spec.parameters import Stage
from tests.support.services.small_disk import SmallDisk


def test_nothing_is_there_before_the_first_one(tmp_path: Path) -> None:
    checkpoints = CheckpointStore(folder=tmp_path / "nowhere")
    checkpoints.delete(3)
    checkpoints.delete_all()
    assert checkpoints.modified_ns(3) == 0


def test_packs_have_their_own(tmp_path: Path) -> None:
    checkpoints = CheckpointStore(folder=tmp_path)
    for pack in (1, 11, 100001):
        checkpoints.path(pack).touch()
        os.utime(checkpoints.path(pack), ns=(pack, pack))
    assert [checkpoints.modified_ns(pack) for pack in (1, 11, 100001, 2)] == [1, 11, 100001, 0]
    checkpoints.delete(1)
    assert [checkpoints.modified_ns(pack) for pack in (1, 11, 100001)] == [0, 11, 100001]
    checkpoints.delete_all()
    assert not list(tmp_path.iterdir())


def run(arm: str = "adam", seed: int = 1000) -> Run:
    return Run(
        workload="digits_mlp",
        arm=arm,
        trial=3,
        seed=seed,
        stage=Stage.CONFIRM,
        outcome=Outcome.FINISHED,
        steps=10,
        start_loss=2.3,
        train_loss=0.1,
        metrics={},
        pack=7,
        lane=0,
    )


def test_every_run_has_its_own_parameter_file(tmp_path: Path) -> None:
    parameters = ParameterStore(folder=tmp_path)
    # names may hold dots: joined by dots, two runs could share a file
    runs = [run(), run(seed=1001), run(arm="adam.1", seed=1), run(arm="adam", seed=11)]
    for number, each in enumerate(runs):
        parameters.save(each, bytes([number]))
    assert [parameters.path(each).read_bytes() for each in runs] == [b"\0", b"\1", b"\2", b"\3"]


def test_saving_again_replaces_and_leaves_nothing_partial(tmp_path: Path) -> None:
    parameters = ParameterStore(folder=tmp_path)
    parameters.save(run(), b"first")
    parameters.save(run(), b"second")
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [b"second"]


def test_deleting_removes_the_file_where_it_is(tmp_path: Path) -> None:
    parameters = ParameterStore(folder=tmp_path)
    parameters.save(run(), b"first")
    parameters.delete(run())
    parameters.delete(run())
    assert not parameters.path(run()).exists()


def test_on_a_full_disk_the_error_names_what_does_not_fit_and_nothing_partial_is_left(small_disk: SmallDisk) -> None:
    parameters = ParameterStore(folder=small_disk.folder / "parameters")
    parameters.save(run(), b"first")
    small_disk.leave(4096)
    with pytest.raises(OSError, match=r"parameters cannot be kept: No space left on device: '.*/parameters\.pt'"):
        parameters.save(run(), bytes(2**20))
    assert [file.name for file in parameters.path(run()).parent.iterdir()] == ["parameters.pt"]
    assert parameters.path(run()).read_bytes() == b"first"
    small_disk.free()
    parameters.save(run(), bytes(2**20))
