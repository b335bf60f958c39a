"""Conversion between table rows and the types of `studies.records` and `service.storage.entities`."""

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Row

from service.states import State
from service.storage.entities import StudyRow, StudySummaryRow
from studies.records.rows import Lane, Mode, Outcome, Pack, Run, Series, Trial
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

#: Column values of a row to insert, by column name.
Record = dict[str, object]


def trial_record(study: str, trial: Trial) -> Record:
    """Return a trial's row."""
    return {
        "study": study,
        "workload": trial.workload,
        "arm": trial.arm,
        "number": trial.number,
        "batch": trial.batch,
        "setting": _format_numbers(trial.setting),
    }


def trial_from_row(row: Row[*tuple[Any, ...]]) -> Trial:
    """Return the trial of a row."""
    return Trial(
        workload=row.workload, arm=row.arm, number=row.number, batch=row.batch, setting=parse_numbers(row.setting)
    )


def pack_record(study: str, pack: Pack) -> Record:
    """Return a pack's row."""
    return {
        "study": study,
        "number": pack.number,
        "workload": pack.workload,
        "arm": pack.arm,
        "stage": pack.stage.value,
        "batch": pack.batch,
        "lanes": json.dumps([[lane.trial, lane.seed] for lane in pack.lanes]),
        "threads": pack.threads,
        "mode": pack.mode.value,
        "width": pack.width,
        "done": pack.done,
        "seconds": pack.seconds,
        "host": pack.host,
    }


def pack_from_row(row: Row[*tuple[Any, ...]]) -> Pack:
    """Return the pack of a row."""
    return Pack(
        number=row.number,
        workload=row.workload,
        arm=row.arm,
        stage=Stage(row.stage),
        batch=row.batch,
        lanes=tuple(Lane(trial=trial, seed=seed) for trial, seed in json.loads(row.lanes)),
        threads=row.threads,
        mode=Mode(row.mode),
        width=row.width,
        done=row.done,
        seconds=row.seconds,
        host=row.host,
    )


def run_record(study: str, run: Run) -> Record:
    """Return a run's row, without its series."""
    return {
        "study": study,
        "pack": run.pack,
        "lane": run.lane,
        "workload": run.workload,
        "arm": run.arm,
        "stage": run.stage.value,
        "trial": run.trial,
        "seed": run.seed,
        "outcome": run.outcome.value,
        "steps": run.steps,
        "start_loss": run.start_loss,
        "train_loss": run.train_loss,
        "metrics": _format_numbers(run.metrics),
        "rungs": json.dumps([str(score) for score in run.rungs]),  # as strings: JSON has no infinities and no NaN
        "tracked": False,
    }


def run_from_row(row: Row[*tuple[Any, ...]], series: Sequence[Series]) -> Run:
    """Return the run of a row."""
    return Run(
        workload=row.workload,
        arm=row.arm,
        trial=row.trial,
        seed=row.seed,
        stage=Stage(row.stage),
        outcome=Outcome(row.outcome),
        steps=row.steps,
        start_loss=row.start_loss,
        train_loss=row.train_loss,
        metrics=parse_numbers(row.metrics),
        rungs=tuple(float(score) for score in json.loads(row.rungs)),
        pack=row.pack,
        lane=row.lane,
        series=tuple(series),
    )


def series_records(study: str, run: Run) -> list[Record]:
    """Return the rows of a run's series."""
    return [
        {
            "study": study,
            "pack": run.pack,
            "lane": run.lane,
            "position": position,
            "name": series.name,
            "steps": struct.pack(f"<{len(series.steps)}q", *series.steps),
            "points": struct.pack(f"<{len(series.values)}d", *series.values),
        }
        for position, series in enumerate(run.series)
    ]


def series_by_run(rows: Iterable[Row[*tuple[Any, ...]]]) -> dict[tuple[int, int], list[Series]]:
    """Return the series of rows by (pack, lane).

    Args:
        rows: In order of position.
    """
    shared: dict[bytes, tuple[int, ...]] = {}  # most series have the same steps and share one tuple, to save memory
    series: dict[tuple[int, int], list[Series]] = {}
    for row in rows:
        if row.steps not in shared:
            shared[row.steps] = struct.unpack(f"<{len(row.steps) // 8}q", row.steps)
        values = struct.unpack(f"<{len(row.points) // 8}d", row.points)
        series.setdefault((row.pack, row.lane), []).append(
            Series(name=row.name, steps=shared[row.steps], values=values)
        )
    return series


def _format_numbers(numbers: Mapping[str, float]) -> str:
    # JSON has no infinities and no NaN: they are written as strings, which float() reads
    strict = {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()}
    return json.dumps(strict, allow_nan=False)


def parse_numbers(text: str) -> dict[str, float]:
    """Parse the JSON of a setting or of metrics."""
    return {name: float(value) for name, value in json.loads(text).items()}


def study_summary_from_row(row: Row[*tuple[Any, ...]]) -> StudySummaryRow:
    """Return the summary of a study from its row."""
    return StudySummaryRow(
        id=row.id,
        name=row.name,
        owner=row.owner,
        priority=row.priority,
        spec_hash=row.spec_hash,
        state=State(row.state),
        reason=row.reason,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        archived_at=row.archived_at,
    )


def study_from_row(row: Row[*tuple[Any, ...]]) -> StudyRow:
    """Return the study of a row."""
    return StudyRow(
        id=row.id,
        name=row.name,
        owner=row.owner,
        priority=row.priority,
        spec=StudySpec.model_validate_json(row.spec),
        spec_hash=row.spec_hash,
        state=State(row.state),
        reason=row.reason,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        archived_at=row.archived_at,
        waiting_for=row.waiting,
        lease_expires_at=row.lease_expires_at,
        attempt=row.attempt,
        environment=None if row.environment is None else cast(dict[str, object], json.loads(row.environment)),
        mlflow_experiment=row.mlflow_experiment,
        mlflow_lacks=row.mlflow_lacks,
    )
