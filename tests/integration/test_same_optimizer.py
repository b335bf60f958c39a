"""One optimizer under two names, really trained: never a winner over itself."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.analysis.comparison import Comparison, Verdict, compare
from studies.execution.worker import train_pack
from studies.records.rows import Rows
from studies.registry import build_catalogue
from studies.search.selection import score_trials
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from studies.validation.resolver import resolve
from tests.support.simulated_driver import driver, open_study
from tests.support.training.throughput import next_pack

pytestmark = pytest.mark.slow

CALLED = {Verdict.WIN, Verdict.LOSS}


def studied(workloads: list[dict[str, Any]], arms: list[dict[str, Any]], **protocol: Any) -> StudySpec:
    body = {"name": "same", "workloads": workloads, "arms": arms, "protocol": {"reference": "one", **protocol}}
    return resolve(body, build_catalogue())


def trained(spec: StudySpec, folder: Path) -> Rows:
    """Return the rows of the study, driven and trained in this process from its start to its end."""
    _, ledger = open_study(folder, spec)
    source = driver(spec, ledger, folder)
    while (job := next_pack(source, 16)) is not None:
        source.record_result(job.number, train_pack(job, "cpu"))
    assert source.is_finished()
    return ledger.rows()


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.parametrize("protocol", [{"sampler": "grid"}, {"sampler": "random"}, {"sampler": "tpe", "batch": 4}])
def test_searched_alike_it_is_the_same_to_the_last_bit(
    optimizer: str, protocol: dict[str, Any], tmp_path: Path
) -> None:
    arms = [{"name": name, "optimizer": optimizer, "search": {"lr": {}}} for name in ("one", "another")]
    workloads = [{"name": "digits_mlp", "steps": 40}, {"name": "linear_regression", "steps": 40}]
    spec = studied(workloads, arms, trials=8, confirm_seeds=8, **protocol)
    rows = trained(spec, tmp_path)
    for (workload, arm), found in compare(spec, rows).items():
        assert found.verdict not in CALLED
        assert set(found.differences) <= {0.0, None}
        mine, theirs = (score_trials(spec, rows, workload, name) for name in (arm, "one"))
        assert [each.value for each in mine] == [each.value for each in theirs]
        assert len({each.trial.setting["lr"] for each in mine}) == len(mine) >= 8
    finals = {run.train_loss for run in rows.runs if run.stage is Stage.CONFIRM and run.workload == "digits_mlp"}
    assert len(finals) == 8  # the seeds differ, the names do not


def test_runs_of_other_seeds_are_called_different_as_seldom_as_stated(tmp_path: Path) -> None:
    """Real losses of one optimizer, dealt out to two names at random: nothing but the noise of training is left."""
    arms = [{"name": name, "optimizer": "adam", "fixed": {"lr": 0.03}} for name in ("one", "another")]
    workload = {"name": "digits_mlp", "steps": 40}
    spec = studied([workload], arms, confirm_seeds=10)
    rows = trained(studied([workload], arms[:1], confirm_seeds=400), tmp_path)
    losses = [run for run in rows.runs if run.stage is Stage.CONFIRM]
    generator = np.random.default_rng(0)

    def dealt() -> Rows:
        chosen = generator.choice(len(losses), 20, replace=False)
        places = [(arm, seed) for arm in ("one", "another") for seed in spec.confirm_seeds]
        return Rows(
            runs=tuple(
                replace(losses[int(place)], arm=arm, seed=seed)
                for place, (arm, seed) in zip(chosen, places, strict=True)
            )
        )

    called = [compare(spec, dealt())["digits_mlp", "another"].verdict in CALLED for _ in range(2000)]
    # p-values are multiples of 2 / 2^10, the largest of them below 0.05 is 50 / 1024
    assert float(np.mean(called)) == pytest.approx(50 / 1024, abs=0.015)  # three standard errors


def searched_apart(folder: Path, optimizer: str, studies: int) -> Iterator[Comparison]:
    """Compare one optimizer with itself, searched at random in ranges that hardly differ: it tries other settings."""
    low, high = {"adam": (1e-4, 1e0), "sgd": (1e-3, 1e1)}[optimizer]
    for number in range(studies):
        ends = [(low * (1 + 0.01 * number), high), (low / 3, high / 1.7)]
        arms = [
            {"name": name, "optimizer": optimizer, "search": {"lr": {"low": bottom, "high": top}}}
            for name, (bottom, top) in zip(("one", "another"), ends, strict=True)
        ]
        spec = studied([{"name": "digits_mlp", "steps": 40}], arms, sampler="random", trials=12, confirm_seeds=8)
        yield compare(spec, trained(spec, folder / str(number)))["digits_mlp", "another"]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_searched_apart_what_is_called_is_within_what_the_searches_owe_to_luck(optimizer: str, tmp_path: Path) -> None:
    """The chosen settings differ, and so do their losses, seed by seed: the report must not leave it at that."""
    found = list(searched_apart(tmp_path, optimizer, 20))
    called = [each for each in found if each.verdict in CALLED]
    beyond = [
        each
        for each in called
        if each.mean_difference is None or each.search_luck is None or abs(each.mean_difference) > each.search_luck
    ]
    assert len(called) >= 3  # else this would show nothing
    assert len(beyond) <= 2
