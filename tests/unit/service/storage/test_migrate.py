"""Migrations on both databases: from every revision, with a row in every table, to the tables of the code."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, Table, func, insert, select, text, types

from service.errors import ForeignDatabaseError
from service.storage.engine import open_engine, writing_engine
from service.storage.migrate import current_revision, latest_revision, migrate, revisions
from service.storage.tables import metadata

pytestmark = [pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True), pytest.mark.heavy]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """An empty database."""
    opened = open_engine(database)
    yield writing_engine(opened)
    opened.dispose()


def some_value(kind: types.TypeEngine[object]) -> object:
    """Return a value for a column's type, always the same, so that foreign keys match."""
    for column_type, value in (
        (types.Boolean, True),
        (types.Integer, 7),
        (types.Float, 0.5),
        (types.DateTime, datetime(2026, 1, 2, 3, 4, 5)),
        (types.LargeBinary, b"\x00\xff"),
        (types.String, "x"),
    ):
        if isinstance(kind, column_type):
            return value
    raise AssertionError(kind)


def filled(engine: Engine) -> dict[str, dict[str, object]]:
    """Insert a row into every table, and return the rows."""
    there = MetaData()
    with engine.begin() as connection:
        there.reflect(connection)
        rows = {
            table.name: {column.name: some_value(column.type) for column in table.columns}
            for table in there.sorted_tables
            if table.name != "alembic_version"
        }
        for table in there.sorted_tables:
            if table.name in rows:
                connection.execute(insert(table), rows[table.name])
    return rows


@pytest.mark.parametrize("start", [None, *revisions()])
def test_any_database_comes_to_the_tables_that_the_code_knows(engine: Engine, start: str | None) -> None:
    assert revisions() == tuple(f"{number:04d}" for number in range(1, len(revisions()) + 1))
    rows: dict[str, dict[str, object]] = {}
    if start is not None:
        with engine.begin() as connection:
            migrate(connection, start)
        rows = filled(engine)
    for _ in range(2):  # the second time nothing happens
        with engine.begin() as connection:
            migrate(connection)
            assert current_revision(connection) == latest_revision()
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        there = MetaData()
        there.reflect(connection)
        for name, row in rows.items():
            table: Table = there.tables[name]
            kept = [column for column in table.columns if column.name in row]
            assert dict(connection.execute(select(*kept)).one()._mapping) == {  # pyright: ignore[reportPrivateUsage]
                column.name: row[column.name] for column in kept
            }


def test_runs_that_were_done_before_are_in_the_tally(engine: Engine) -> None:
    with engine.begin() as connection:
        migrate(connection, "0003")
    filled(engine)
    with engine.begin() as connection:
        migrate(connection)
        assert connection.execute(text("SELECT outcome, runs FROM tallies")).all() == [("x", 1)]


def test_a_change_that_fails_leaves_the_database_as_it_was(engine: Engine) -> None:
    with engine.connect() as connection:
        with connection.begin() as transaction:
            migrate(connection)
            transaction.rollback()
        with connection.begin():
            assert current_revision(connection) is None


def test_a_database_of_a_newer_version_or_of_others_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        migrate(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(
            ForeignDatabaseError, match=f"revision 9999, of a newer version .* knows {latest_revision()}"
        ):
            migrate(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        with pytest.raises(ForeignDatabaseError, match="api_keys, catalogue"):
            migrate(connection)
        counted = connection.execute(select(func.count()).select_from(metadata.tables["studies"]))
        assert counted.scalar_one() == 0
