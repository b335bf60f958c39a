import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from studies.analysis.time_to_target import Target
from studies.records.rows import Lane, Pack, Rows, Run, Series
from studies.reporting.builder import build_report
from studies.reporting.report import Report
from studies.spec.parameters import Stage
from tests.support.planted_studies import STEPS, Planted, planted_rows, planted_spec, provenance

#: Two tuned arms, the better of which sets the target, and two that are not: one faster, one that never gets there.
ARMS = {
    "fast": Planted(log_loss=-6.0, spread=0.01),
    "tuned": Planted(log_loss=-4.0, best_lr=0.1, spread=0.05),
    "second": Planted(log_loss=-3.0, best_lr=0.1, spread=0.01),
    "slow": Planted(log_loss=-2.0, spread=0.01),
}


def reported(arms: Mapping[str, Planted], *, objective: str = "train_loss", series: bool = True) -> Report:
    spec = planted_spec(arms, workloads=("bowl",), reference=next(iter(arms)), objective=objective)
    rows = planted_rows(spec, arms)
    if not series:
        rows = replace(rows, runs=tuple(replace(run, series=()) for run in rows.runs))
    return build_report(spec, rows, provenance(spec))


def target_of(report: Report) -> Target:
    found = report.workloads[0].target
    assert found is not None
    return found


@pytest.fixture(scope="module")
def target() -> Target:
    """Of the arms above."""
    return target_of(reported(ARMS))


def test_the_best_tuned_arm_sets_it_so_that_more_than_half_of_its_seeds_get_there(target: Target) -> None:
    own = target.for_arm("tuned")
    assert target.arm == "tuned"
    assert target.value == pytest.approx(1e-4, rel=0.3)
    assert (own.reached, len(own.seeds), own.ratio) == (7, 12, 1.0)
    assert own.highest is None
    assert own.median is not None


def test_an_arm_that_falls_faster_is_there_sooner_and_one_that_ends_above_never(target: Target) -> None:
    fast, slow = target.for_arm("fast"), target.for_arm("slow")
    assert fast.reached == 12
    assert fast.median is not None
    assert fast.lowest is not None
    assert fast.lowest <= fast.median < STEPS
    assert fast.ratio is not None
    assert 0.5 < fast.ratio < 0.9
    assert (slow.reached, slow.median, slow.lowest, slow.highest, slow.ratio) == (0, None, None, None, None)
    assert slow.seeds == (None,) * 12


def test_of_a_maximised_metric_the_highest_is_the_best() -> None:
    found = target_of(reported(ARMS, objective="validation_accuracy"))
    assert found.arm == "tuned"
    assert found.for_arm("fast").reached == 12
    assert found.for_arm("slow").reached == 0


def test_without_series_targets_are_reached_at_the_end_only() -> None:
    found = target_of(reported(ARMS, series=False))
    assert set(found.for_arm("fast").seeds) == {STEPS}
    assert found.for_arm("fast").ratio == 1.0


def test_where_no_arm_is_tuned_the_best_of_all_sets_it() -> None:
    assert target_of(reported({name: ARMS[name] for name in ("slow", "fast")})).arm == "fast"


def test_a_run_that_diverges_never_gets_there_whatever_it_passed_on_its_way() -> None:
    spec = planted_spec(ARMS, workloads=("bowl",), reference="fast")
    rows = planted_rows(spec, ARMS | {"fast": replace(ARMS["fast"], diverged_seeds=3)})
    dip = Series(name="train_loss", steps=(1, 2), values=(1e-20, math.nan))
    runs = tuple(
        _with(run, dip) if run.arm == "fast" and not math.isfinite(run.train_loss) else run for run in rows.runs
    )
    found = target_of(build_report(spec, replace(rows, runs=runs), provenance(spec))).for_arm("fast")
    assert found.seeds[:3] == (None, None, None)
    assert (found.reached, found.highest) == (9, None)


def _with(run: Run, series: Series) -> Run:
    return replace(run, series=(series,))


def test_a_single_batch_below_the_target_does_not_reach_it() -> None:
    """Two arms whose losses fall alike and are as noisy, one of them 1.3 times as high, in runs of three epochs."""
    arms = {"a": Planted(log_loss=0.0, best_lr=0.1), "b": Planted(log_loss=0.0)}
    spec = planted_spec(arms, workloads=("bowl",), reference="b")
    short = spec.workloads[0].model_copy(update={"steps": 66, "search_steps": 66, "steps_per_epoch": 22})
    spec = spec.model_copy(update={"workloads": (short,)})
    rows = planted_rows(spec, arms)
    draws = np.random.default_rng(0)
    steps = tuple(range(1, 67))

    def noisy(run: Run) -> Run:
        level = 0.16 * (1.3 if run.arm == "b" else 1.0)
        falling = level * (1 + np.exp(-np.array(steps) / 10))
        losses: tuple[float, ...] = tuple((falling * 10.0 ** draws.normal(0.0, 0.25, 66)).tolist())
        series = Series(name="train_loss", steps=steps, values=losses)
        return replace(run, steps=66, train_loss=float(np.mean(losses[-22:])), series=(series,))

    confirmed = tuple(noisy(run) if run.stage is Stage.CONFIRM else run for run in rows.runs)
    found = target_of(build_report(spec, replace(rows, runs=confirmed), provenance(spec)))
    ends = [run.train_loss for run in confirmed if (run.arm, run.stage) == ("b", Stage.CONFIRM)]
    assert found.arm == "a"
    assert found.for_arm("b").reached <= sum(end <= found.value for end in ends) + 1
    assert found.for_arm("a").reached >= 7


def test_there_is_none_where_nothing_is_complete_or_all_diverge() -> None:
    spec = planted_spec(ARMS, workloads=("bowl",), reference="fast")
    rows = planted_rows(spec, ARMS)
    searched = Rows(trials=rows.trials, packs=rows.packs, runs=tuple(r for r in rows.runs if r.stage is Stage.SEARCH))
    assert build_report(spec, searched, provenance(spec)).workloads[0].target is None
    lost = {"a": Planted(log_loss=0.0, diverged_seeds=99), "b": Planted(log_loss=0.0, best_lr=0.1, diverged_seeds=99)}
    assert reported(lost).workloads[0].target is None


def test_seconds_are_stated_of_runs_that_were_trained_alone_only() -> None:
    spec = planted_spec(ARMS, workloads=("bowl",), reference="fast")
    rows = planted_rows(spec, ARMS)
    assert target_of(build_report(spec, rows, provenance(spec))).for_arm("fast").seconds is None
    own = [run for run in rows.runs if (run.arm, run.stage) == ("fast", Stage.CONFIRM)]
    packs = {run.seed: 1000 + place for place, run in enumerate(own)}
    alone = tuple(
        Pack(
            number=packs[run.seed],
            workload="bowl",
            arm="fast",
            stage=Stage.CONFIRM,
            batch=-1,
            lanes=(Lane(trial=0, seed=run.seed),),
            done=True,
            seconds=20.0,
        )
        for run in own
    )
    runs = tuple(replace(run, pack=packs[run.seed], lane=0) if run in own else run for run in rows.runs)
    rows = replace(rows, runs=runs, packs=(*rows.packs, *alone))
    found = target_of(build_report(spec, rows, provenance(spec)))
    assert found.for_arm("fast").median is not None
    assert found.for_arm("fast").seconds == pytest.approx((found.for_arm("fast").median or 0) * 20.0 / STEPS)
    assert found.for_arm("tuned").seconds is None
    dead = replace(rows, packs=(*rows.packs[: -len(alone)], *(replace(pack, width=8) for pack in alone)))
    assert target_of(build_report(spec, dead, provenance(spec))).for_arm("fast").seconds is None
