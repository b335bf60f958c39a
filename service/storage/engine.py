"""Opens the database, SQLite or PostgreSQL, and tells transactions that read from those that write."""

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

log = logging.getLogger(__name__)
Result = TypeVar("Result")

#: Seconds that a writer waits for another one.
_BUSY_SECONDS = 30
#: Seconds that a database may be away, and between two attempts.
_LOST_SECONDS, _AGAIN_SECONDS = 60.0, 0.5


def open_engine(url: str) -> Engine:
    """Return an engine for the database at an address.

    Args:
        url: SQLAlchemy's address, as in `sqlite:////data/studies.db` or `postgresql+psycopg://user@host/studies`.
    """
    kind = make_url(url).get_backend_name()
    engine = create_engine(url, pool_pre_ping=kind != "sqlite")  # a server may have been started again
    if kind == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def reading_engine(engine: Engine) -> Engine:
    """Return the same engine for transactions that read, and see one moment of the database however long they take.

    Args:
        engine: From `open_engine`.
    """
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing_engine(engine: Engine) -> Engine:
    """Return the same engine for transactions that write: SQLite's take the write lock when they begin.

    A transaction that reads first and asks for the lock later fails at once if another one wrote in between.

    Args:
        engine: From `open_engine`.
    """
    if engine.dialect.name == "sqlite":
        return engine.execution_options(writes=True)
    return engine.execution_options(isolation_level="READ COMMITTED")


def upsert(connection: Connection, table: Table, records: Sequence[Mapping[str, object]]) -> None:
    """Write rows in place of those that have their primary keys, whoever else does so at the same time.

    Args:
        connection: In a transaction that writes.
        table: The table.
        records: The rows, at least one, all with the same columns.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    keys = [column.name for column in table.primary_key]
    given = insert(table)
    others = {name: given.excluded[name] for name in records[0] if name not in keys}
    connection.execute(given.on_conflict_do_update(index_elements=keys, set_=others), list(records))


def retry_on_disconnect(work: Callable[[], Result]) -> Result:
    """Do something in the database, again if the connection to it is lost meanwhile; for who has nobody to tell.

    Args:
        work: A transaction, or several; done twice it must be as good as done once, for it may have been kept although
            nothing was heard of that.

    Raises:
        OperationalError: The database could not be reached for a minute.
    """
    deadline = time.monotonic() + _LOST_SECONDS
    while True:
        try:
            return work()
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            log.warning("the database does not answer; it is asked again", exc_info=True)
            time.sleep(_AGAIN_SECONDS)


def _configure_sqlite(connection: object, _entry: ConnectionPoolEntry) -> None:
    opened = cast(sqlite3.Connection, connection)
    opened.isolation_level = None  # transactions begin where `_begin` says
    for pragma in (
        f"busy_timeout = {_BUSY_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "secure_delete = FAST",  # some builds overwrite all that is deleted, which takes ten times as long
    ):
        opened.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
