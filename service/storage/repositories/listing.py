"""Paginated, filtered lists of studies, newest first."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from service.states import State
from service.storage.entities import Page, StudySummaryRow, is_valid_id
from service.storage.lifecycle.transitions import has_state
from service.storage.mappers import study_summary_from_row
from service.storage.repositories.runs import bad_cursor
from service.storage.tables import studies

#: The columns of a study that lists show; without the spec, which may be long.
_SUMMARY_COLUMNS = select(
    studies.c.id,
    studies.c.name,
    studies.c.owner,
    studies.c.priority,
    studies.c.state,
    studies.c.reason,
    studies.c.spec_hash,
    studies.c.created_at,
    studies.c.started_at,
    studies.c.ended_at,
    studies.c.archived_at,
)


@dataclass(frozen=True, kw_only=True)
class StudyFilter:
    """A filter of studies; a study must meet all criteria.

    Args:
        states: The allowed states; all if empty.
        name: A part of the name, case-insensitive; any name if empty.
        archived: Whether to list archived studies instead of the others.
        owner: The owner's name; all owners if None.
    """

    states: tuple[State, ...] = ()
    name: str = ""
    archived: bool = False
    owner: str | None = None


def read_study_page(
    connection: Connection, study_filter: StudyFilter, limit: int, cursor: str | None
) -> Page[StudySummaryRow]:
    """Return a page of studies, newest first.

    Args:
        connection: In a transaction.
        study_filter: The filter.
        limit: Maximum number of studies in the page.
        cursor: The id of the previous page's last study; None for the first page.

    Raises:
        BadCursorError: The cursor is invalid.
    """
    query = _SUMMARY_COLUMNS.where(
        studies.c.archived_at.is_not(None) if study_filter.archived else studies.c.archived_at.is_(None)
    )
    if study_filter.states:
        query = query.where(has_state(study_filter.states))
    if study_filter.name:
        query = query.where(studies.c.name.icontains(study_filter.name, autoescape=True))
    if study_filter.owner is not None:
        query = query.where(studies.c.owner == study_filter.owner)
    if cursor is not None:
        if not is_valid_id(cursor):
            raise bad_cursor(cursor)
        query = query.where(studies.c.id < cursor)
    rows = connection.execute(query.order_by(studies.c.id.desc()).limit(limit + 1)).all()
    page = tuple(study_summary_from_row(row) for row in rows[:limit])
    return Page(items=page, next_cursor=page[-1].id if len(rows) > limit else None)
