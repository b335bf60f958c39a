"""Reading runs: all rows of a study, its runs page by page, and those that MLflow does not have yet."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, select, tuple_

from service.entities import Page, RunRow
from service.errors import BadCursorError
from service.records import read_numbers, read_pack, read_run, read_series, read_trial
from service.tables import packs, runs, series, studies, trials
from service.transitions import shown
from studies.rows import Limit, Rows, Series

#: What runs are ordered by.
_ORDER = (runs.c.workload, runs.c.arm, runs.c.stage, runs.c.trial, runs.c.seed)

#: Runs with the settings of their trials.
_RUNS = select(runs, trials.c.setting).join(
    trials,
    and_(
        trials.c.study == runs.c.study,
        trials.c.workload == runs.c.workload,
        trials.c.arm == runs.c.arm,
        trials.c.number == runs.c.trial,
    ),
)

_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


def read_rows(connection: Connection, study_id: str, *, with_series: bool) -> Rows:
    """Return all rows of a study, in the order that `studies.rows.Rows` has.

    Args:
        connection: In a transaction, so that the rows are of one moment.
        study_id: The study.
        with_series: Whether the runs have their series.
    """
    own_trials = select(trials).where(trials.c.study == study_id)
    own_packs = select(packs).where(packs.c.study == study_id)
    own_runs = select(runs).where(runs.c.study == study_id)
    own_series = select(series).where(series.c.study == study_id)
    followed = read_series(connection.execute(own_series.order_by(series.c.position))) if with_series else {}
    reached = connection.execute(select(studies.c.reached).where(studies.c.id == study_id)).scalar_one_or_none()
    return Rows(
        trials=tuple(
            read_trial(row)
            for row in connection.execute(own_trials.order_by(trials.c.workload, trials.c.arm, trials.c.number))
        ),
        packs=tuple(read_pack(row) for row in connection.execute(own_packs.order_by(packs.c.number))),
        runs=tuple(
            read_run(row, followed.get((row.pack, row.lane), ()))
            for row in connection.execute(own_runs.order_by(*_ORDER))
        ),
        reached=None if reached is None else Limit(reached),
    )


def read_untracked_runs(connection: Connection, study_id: str, limit: int) -> tuple[RunRow, ...]:
    """Return runs, with series, that MLflow does not have yet, in order of (pack, lane).

    Args:
        connection: In a transaction.
        study_id: The study.
        limit: Most runs to return.
    """
    found = connection.execute(
        _RUNS.where(runs.c.study == study_id, runs.c.tracked.is_(False)).order_by(runs.c.pack, runs.c.lane).limit(limit)
    ).all()
    own_series = select(series).where(series.c.study == study_id, series.c.pack.in_({row.pack for row in found}))
    followed = read_series(connection.execute(own_series.order_by(series.c.position)))
    return tuple(_run_row(row, followed.get((row.pack, row.lane), ())) for row in found)


def read_run_page(connection: Connection, study_id: str, limit: int, cursor: str | None) -> Page[RunRow]:
    """Return runs without series, in order of (workload, arm, stage, trial, seed).

    Args:
        connection: In a transaction.
        study_id: The study.
        limit: Most runs in the page.
        cursor: The last run of the page before as `pack.lane`; None for the first page.

    Raises:
        BadCursorError: The cursor names no run of this study.
    """
    query = _RUNS.where(runs.c.study == study_id)
    if cursor is not None:
        query = query.where(tuple_(*_ORDER) > tuple_(*_place(connection, study_id, cursor)))
    rows = connection.execute(query.order_by(*_ORDER).limit(limit + 1)).all()
    page = rows[:limit]
    return Page(
        items=tuple(_run_row(row, ()) for row in page),
        next_cursor=f"{page[-1].pack}.{page[-1].lane}" if len(rows) > limit else None,
    )


def _run_row(row: Row[*tuple[Any, ...]], followed: Sequence[Series]) -> RunRow:
    return RunRow(run=read_run(row, followed), setting=read_numbers(row.setting))


def _place(connection: Connection, study_id: str, cursor: str) -> tuple[Any, ...]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise bad_cursor(cursor)
    own = (runs.c.study == study_id, runs.c.pack == int(match[1]), runs.c.lane == int(match[2]))
    place = connection.execute(select(*_ORDER).where(*own)).one_or_none()
    if place is None:
        raise bad_cursor(cursor)
    return tuple(place)


def bad_cursor(cursor: str) -> BadCursorError:
    """Return the error for a cursor that this service did not give."""
    return BadCursorError(f"{shown(cursor)} is no cursor of this service; give the `next_cursor` of a page")
