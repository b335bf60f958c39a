"""The rows of a study: trials, packs and runs, as stored in the database and read by planning and analysis."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from studies.spec.parameters import Stage


class Mode(StrEnum):
    """How a pack's step runs: operation by operation, or as one compiled program."""

    EAGER = "eager"
    COMPILED = "compiled"


class Outcome(StrEnum):
    """How a run ended."""

    FINISHED = "FINISHED"
    DIVERGED = "DIVERGED"
    STOPPED = "STOPPED"


class Limit(StrEnum):
    """A budget that is charged as time passes, by its field."""

    SECONDS = "seconds"
    GPU_HOURS = "gpu_hours"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One hyperparameter setting of an arm on a workload.

    Args:
        workload: The workload's name.
        arm: The arm's name.
        number: Counts from 0 within the search.
        batch: The batch of suggestions that it belongs to, counting from 0.
        setting: Every hyperparameter of the optimizer by name, fixed and searched.
    """

    workload: str
    arm: str
    number: int
    batch: int
    setting: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A run's place in a pack: which trial with which seed.

    Args:
        trial: The trial's number within (workload, arm).
        seed: The run's seed.
    """

    trial: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Runs of one workload and one arm that are trained together; its row is written before training starts.

    Args:
        number: Counts from 0 within the study.
        workload: The workload's name.
        arm: The arm's name.
        stage: The stage of all its runs.
        batch: The search batch it belongs to; -1 for confirm.
        lanes: Its runs, in lane order.
        threads: Threads of the training process; results depend on it.
        mode: How the step runs; results depend on it.
        width: Lanes of a compiled step, including dead lanes; None for as many lanes as runs.
        done: Whether its runs are in the database.
        seconds: Wall-clock seconds of training; None until done.
        host: Machine and device that it was trained on; empty until done.
    """

    number: int
    workload: str
    arm: str
    stage: Stage
    batch: int
    lanes: tuple[Lane, ...]
    threads: int = 1
    mode: Mode = Mode.EAGER
    width: int | None = None
    done: bool = False
    seconds: float | None = None
    host: str = ""


@dataclass(frozen=True, kw_only=True)
class Series:
    """A quantity recorded over the steps of a run.

    Args:
        name: `train_loss`, `effective_lr`, `validation_loss`, `validation_<metric>`, `test_loss`, `test_<metric>`.
        steps: The step after which each value holds, counting from 1 (0: before the first).
        values: One value a step; may be infinite or NaN.
    """

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of one trial with one seed in one stage.

    Args:
        workload: The workload's name.
        arm: The arm's name.
        trial: The trial's number.
        seed: The run's seed.
        stage: Search or confirm.
        outcome: FINISHED, DIVERGED, or STOPPED by the pruner at a rung.
        steps: Steps trained; fewer than planned if it diverged or was stopped.
        start_loss: Training loss before the first step.
        train_loss: Final training loss (mean over the last epoch); +inf if it diverged.
        metrics: Final `validation_*` and, for confirm runs, `test_*` values by name; empty if it diverged.
        pack: The number of its pack.
        lane: Its lane within the pack.
        rungs: The objective at each rung that it reached; the worst infinity if it had diverged.
        series: Recorded series; empty if the rows were read without series.
    """

    workload: str
    arm: str
    trial: int
    seed: int
    stage: Stage
    outcome: Outcome
    steps: int
    start_loss: float
    train_loss: float
    metrics: Mapping[str, float]
    pack: int
    lane: int
    rungs: tuple[float, ...] = ()
    series: tuple[Series, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a study at one moment.

    Args:
        trials: In order of (workload, arm, number).
        packs: In order of number.
        runs: In order of (workload, arm, stage, trial, seed), with or without series.
        reached: The time budget that ended the searches, so that no more trials are planned; None if none did.
    """

    trials: tuple[Trial, ...] = ()
    packs: tuple[Pack, ...] = ()
    runs: tuple[Run, ...] = ()
    reached: Limit | None = None


def by_arm(rows: Rows) -> dict[tuple[str, str], Rows]:
    """Return a study's rows grouped by (workload, arm), in the same order.

    Args:
        rows: All rows of the study.
    """
    trials: dict[tuple[str, str], list[Trial]] = {}
    packs: dict[tuple[str, str], list[Pack]] = {}
    runs: dict[tuple[str, str], list[Run]] = {}
    for trial in rows.trials:
        trials.setdefault((trial.workload, trial.arm), []).append(trial)
    for pack in rows.packs:
        packs.setdefault((pack.workload, pack.arm), []).append(pack)
    for run in rows.runs:
        runs.setdefault((run.workload, run.arm), []).append(run)
    return {
        key: Rows(
            trials=tuple(trials.get(key, ())),
            packs=tuple(packs.get(key, ())),
            runs=tuple(runs.get(key, ())),
            reached=rows.reached,
        )
        for key in dict.fromkeys((*trials, *packs, *runs))
    }
