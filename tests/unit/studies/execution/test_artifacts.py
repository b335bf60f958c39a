"""The folder of a study's checkpoints."""

import os
from pathlib import Path

from studies.execution.artifacts import Checkpoints


def test_nothing_is_there_before_the_first_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints(folder=tmp_path / "nowhere")
    checkpoints.drop(3)
    checkpoints.clear()
    assert checkpoints.written(3) == 0


def test_packs_have_their_own(tmp_path: Path) -> None:
    checkpoints = Checkpoints(folder=tmp_path)
    for pack in (1, 11, 100001):
        checkpoints.path(pack).touch()
        os.utime(checkpoints.path(pack), ns=(pack, pack))
    assert [checkpoints.written(pack) for pack in (1, 11, 100001, 2)] == [1, 11, 100001, 0]
    checkpoints.drop(1)
    assert [checkpoints.written(pack) for pack in (1, 11, 100001)] == [0, 11, 100001]
    checkpoints.clear()
    assert not list(tmp_path.iterdir())
