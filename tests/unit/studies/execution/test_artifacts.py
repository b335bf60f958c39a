"""The folder of a study's checkpoints."""

import os
from pathlib import Path

from studies.execution.artifacts import CheckpointStore


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
