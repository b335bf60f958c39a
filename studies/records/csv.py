"""Exact conversion of rows to records of CSV files and back."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from studies.records.rows import Lane, Mode, Outcome, Pack, Run, Series, Trial
from studies.spec.parameters import Stage

TRIAL_COLUMNS = ("workload", "arm", "number", "batch", "setting")
PACK_COLUMNS = (
    *("number", "workload", "arm", "stage", "batch", "lanes"),
    *("threads", "mode", "width", "done", "seconds", "host"),
)
RUN_COLUMNS = (
    *("workload", "arm", "trial", "seed", "stage", "outcome", "steps"),
    *("start_loss", "train_loss", "pack", "lane", "rungs"),
)
SERIES_COLUMNS = ("pack", "lane", "series", "step", "value")


def series_of(runs: Sequence[Run]) -> Iterator[tuple[int, int, Series]]:
    """Yield each series of the runs, with its run's pack and lane.

    Args:
        runs: Runs with their series.
    """
    for run in runs:
        for series in run.series:
            yield run.pack, run.lane, series


def trial_record(trial: Trial) -> Sequence[object]:
    """Return a trial's record, in the order of `TRIAL_COLUMNS`."""
    return trial.workload, trial.arm, trial.number, trial.batch, json.dumps(dict(trial.setting))


def pack_record(pack: Pack) -> Sequence[object]:
    """Return a pack's record, in the order of `PACK_COLUMNS`; a lane is `trial:seed`."""
    lanes = " ".join(f"{lane.trial}:{lane.seed}" for lane in pack.lanes)
    return (
        *(pack.number, pack.workload, pack.arm, pack.stage.value, pack.batch, lanes),
        *(pack.threads, pack.mode.value, pack.width, int(pack.done), pack.seconds, pack.host),
    )


def run_record(run: Run, names: Sequence[str]) -> Sequence[object]:
    """Return a run's record without series, in the order of `RUN_COLUMNS` followed by the metrics.

    Args:
        run: The run.
        names: The names of all metrics that any run has.
    """
    return (
        *(run.workload, run.arm, run.trial, run.seed, run.stage.value, run.outcome.value, run.steps),
        *(run.start_loss, run.train_loss, run.pack, run.lane, " ".join(map(repr, run.rungs))),
        *(run.metrics.get(name) for name in names),
    )


def point_records(series_of_lanes: Iterable[tuple[int, int, Series]]) -> Iterator[Sequence[object]]:
    """Yield a record for each point of the series, in the order of `SERIES_COLUMNS`.

    Args:
        series_of_lanes: Every series with its run's pack and lane.
    """
    for pack, lane, series in series_of_lanes:
        for step, value in zip(series.steps, series.values, strict=True):
            yield pack, lane, series.name, step, value


def read_trial(record: Mapping[str, str]) -> Trial:
    """Return the trial of a record."""
    return Trial(
        workload=record["workload"],
        arm=record["arm"],
        number=int(record["number"]),
        batch=int(record["batch"]),
        setting={name: float(value) for name, value in json.loads(record["setting"]).items()},
    )


def read_pack(record: Mapping[str, str]) -> Pack:
    """Return the pack of a record."""
    lanes = (lane.split(":") for lane in record["lanes"].split())
    return Pack(
        number=int(record["number"]),
        workload=record["workload"],
        arm=record["arm"],
        stage=Stage(record["stage"]),
        batch=int(record["batch"]),
        lanes=tuple(Lane(trial=int(trial), seed=int(seed)) for trial, seed in lanes),
        threads=int(record["threads"]),
        mode=Mode(record["mode"]),
        width=int(record["width"]) if record["width"] else None,
        done=record["done"] == "1",
        seconds=float(record["seconds"]) if record["seconds"] else None,
        host=record["host"],
    )


def read_run(record: Mapping[str, str], series_by_lane: Mapping[tuple[int, int], Sequence[Series]]) -> Run:
    """Return the run of a record.

    Args:
        record: Values by column.
        series_by_lane: Series by pack and lane.
    """
    pack, lane = int(record["pack"]), int(record["lane"])
    metrics = {name: value for name, value in record.items() if name not in RUN_COLUMNS}
    return Run(
        workload=record["workload"],
        arm=record["arm"],
        trial=int(record["trial"]),
        seed=int(record["seed"]),
        stage=Stage(record["stage"]),
        outcome=Outcome(record["outcome"]),
        steps=int(record["steps"]),
        start_loss=float(record["start_loss"]),
        train_loss=float(record["train_loss"]),
        metrics={name: float(value) for name, value in metrics.items() if value},
        pack=pack,
        lane=lane,
        rungs=tuple(map(float, record["rungs"].split())),
        series=tuple(series_by_lane.get((pack, lane), ())),
    )


def read_series(records: Iterable[Mapping[str, str]]) -> dict[tuple[int, int], list[Series]]:
    """Return series by pack and lane from the records of their points."""
    points: dict[tuple[int, int], dict[str, tuple[list[int], list[float]]]] = {}
    for record in records:
        series = points.setdefault((int(record["pack"]), int(record["lane"])), {})
        steps, values = series.setdefault(record["series"], ([], []))
        steps.append(int(record["step"]))
        values.append(float(record["value"]))
    return {
        key: [Series(name=name, steps=tuple(steps), values=tuple(values)) for name, (steps, values) in series.items()]
        for key, series in points.items()
    }
