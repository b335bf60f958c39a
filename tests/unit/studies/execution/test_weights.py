"""Final parameters wait as files, whole or not at all."""

from pathlib import Path

from studies.execution.artifacts import ParameterStore
from studies.records.rows import Outcome, Run
from studies.spec.parameters import Stage


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


def test_every_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    weights = ParameterStore(folder=tmp_path)
    # names may hold dots: joined by dots, two runs could share a file
    runs = [run(), run(seed=1001), run(arm="adam.1", seed=1), run(arm="adam", seed=11)]
    for number, each in enumerate(runs):
        weights.save(each, bytes([number]))
    assert [weights.path(each).read_bytes() for each in runs] == [b"\0", b"\1", b"\2", b"\3"]


def test_saving_again_replaces_and_leaves_nothing_partial(tmp_path: Path) -> None:
    weights = ParameterStore(folder=tmp_path)
    weights.save(run(), b"first")
    weights.save(run(), b"second")
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [b"second"]


def test_dropping_removes_the_file_where_it_is(tmp_path: Path) -> None:
    weights = ParameterStore(folder=tmp_path)
    weights.save(run(), b"first")
    weights.delete(run())
    weights.delete(run())
    assert not weights.path(run()).exists()
