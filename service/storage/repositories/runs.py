"""Reads of a study's rows: all of them, those of some searches, pages of runs, and runs not recorded in MLflow yet."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, tuple_

from service.errors import BadCursorError, UnknownRunError, quote_value
from service.storage.entities import Page, RunRow, format_run_id
from service.storage.mappers import pack_from_row, parse_numbers, run_from_row, series_by_run, trial_from_row
from service.storage.tables import packs, runs, series, studies, trials
from studies.records.rows import Limit, Rows, Series
from studies.spec.parameters import Stage

#: Sort order of runs.
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

_RUN_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


def read_rows(connection: Connection, study_id: str, *, with_series: bool) -> Rows:
    """Return all rows of a study, in the order of `studies.records.rows.Rows`.

    Args:
        connection: In a transaction, so that all reads see the same snapshot.
        study_id: The study.
        with_series: Whether to read the runs' series.
    """
    study_trials = select(trials).where(trials.c.study == study_id)
    study_packs = select(packs).where(packs.c.study == study_id)
    study_runs = select(runs).where(runs.c.study == study_id)
    study_series = select(series).where(series.c.study == study_id)
    series_of = series_by_run(connection.execute(study_series.order_by(series.c.position))) if with_series else {}
    return Rows(
        trials=tuple(
            trial_from_row(row)
            for row in connection.execute(study_trials.order_by(trials.c.workload, trials.c.arm, trials.c.number))
        ),
        packs=tuple(pack_from_row(row) for row in connection.execute(study_packs.order_by(packs.c.number))),
        runs=tuple(
            run_from_row(row, series_of.get((row.pack, row.lane), ()))
            for row in connection.execute(study_runs.order_by(*_ORDER))
        ),
        reached=read_reached(connection, study_id),
    )


def read_reached(connection: Connection, study_id: str) -> Limit | None:
    """Return the budget that ended a study's searches, None if none did.

    Args:
        connection: In a transaction.
        study_id: The study.
    """
    reached = connection.execute(select(studies.c.reached).where(studies.c.id == study_id)).scalar_one_or_none()
    return None if reached is None else Limit(reached)


def read_searches(
    connection: Connection, study_id: str, searches: Sequence[tuple[str, str]], reached: Limit | None
) -> Rows:
    """Return the trials and the search runs of some searches, in the order of `studies.records.rows.Rows`.

    Args:
        connection: In a transaction, so that all reads see the same snapshot.
        study_id: The study.
        searches: At least one pair of workload and arm.
        reached: The budget that ended them, from `read_reached`.
    """
    search_trials = select(trials).where(
        trials.c.study == study_id, tuple_(trials.c.workload, trials.c.arm).in_(searches)
    )
    search_runs = select(runs).where(
        runs.c.study == study_id,
        runs.c.stage == Stage.SEARCH.value,
        tuple_(runs.c.workload, runs.c.arm).in_(searches),
    )
    return Rows(
        trials=tuple(
            trial_from_row(row)
            for row in connection.execute(search_trials.order_by(trials.c.workload, trials.c.arm, trials.c.number))
        ),
        runs=tuple(run_from_row(row, ()) for row in connection.execute(search_runs.order_by(*_ORDER))),
        reached=reached,
    )


def read_untracked_runs(connection: Connection, study_id: str, limit: int) -> tuple[RunRow, ...]:
    """Return runs, with series, that are not recorded in MLflow yet, in order of (pack, lane).

    Args:
        connection: In a transaction.
        study_id: The study.
        limit: Maximum number of runs to return.
    """
    rows = connection.execute(
        _RUNS.where(runs.c.study == study_id, runs.c.tracked.is_(False)).order_by(runs.c.pack, runs.c.lane).limit(limit)
    ).all()
    study_series = select(series).where(series.c.study == study_id, series.c.pack.in_({row.pack for row in rows}))
    series_of = series_by_run(connection.execute(study_series.order_by(series.c.position)))
    return tuple(_run_row_from(row, series_of.get((row.pack, row.lane), ())) for row in rows)


def read_run_page(connection: Connection, study_id: str, limit: int, cursor: str | None) -> Page[RunRow]:
    """Return a page of runs without series, in order of (workload, arm, stage, trial, seed).

    Args:
        connection: In a transaction.
        study_id: The study.
        limit: Maximum number of runs in the page.
        cursor: The id of the previous page's last run; None for the first page.

    Raises:
        BadCursorError: The cursor is not a run id of this study.
    """
    query = _RUNS.where(runs.c.study == study_id)
    if cursor is not None:
        query = query.where(tuple_(*_ORDER) > tuple_(*_sort_key_at(connection, study_id, cursor)))
    rows = connection.execute(query.order_by(*_ORDER).limit(limit + 1)).all()
    page = rows[:limit]
    return Page(
        items=tuple(_run_row_from(row, ()) for row in page),
        next_cursor=format_run_id(page[-1].pack, page[-1].lane) if len(rows) > limit else None,
    )


def read_run(connection: Connection, study_id: str, run_id: str) -> RunRow:
    """Return a run without series.

    Args:
        connection: In a transaction.
        study_id: An existing study.
        run_id: The run's id.

    Raises:
        UnknownRunError: The study has no such run.
    """
    condition = _has_run_id(study_id, run_id)
    row = None if condition is None else connection.execute(_RUNS.where(condition)).one_or_none()
    if row is None:
        raise UnknownRunError(
            f"study {study_id} has no run {quote_value(run_id)}; "
            f"`GET /studies/{study_id}/runs` lists those that are done"
        )
    return _run_row_from(row, ())


def _run_row_from(row: Row[*tuple[Any, ...]], run_series: Sequence[Series]) -> RunRow:
    return RunRow(run=run_from_row(row, run_series), setting=parse_numbers(row.setting))


def _sort_key_at(connection: Connection, study_id: str, cursor: str) -> tuple[Any, ...]:
    condition = _has_run_id(study_id, cursor)
    sort_key = None if condition is None else connection.execute(select(*_ORDER).where(condition)).one_or_none()
    if sort_key is None:
        raise bad_cursor(cursor)
    return tuple(sort_key)


def _has_run_id(study_id: str, run_id: str) -> ColumnElement[bool] | None:
    """Return the SQL condition that selects a run by id, None if the id is malformed."""
    match = _RUN_ID.fullmatch(run_id)
    if match is None:
        return None
    return and_(runs.c.study == study_id, runs.c.pack == int(match[1]), runs.c.lane == int(match[2]))


def bad_cursor(cursor: str) -> BadCursorError:
    """Return the error for an invalid cursor."""
    return BadCursorError(f"{quote_value(cursor)} is no cursor of this service; give the `next_cursor` of a page")
