"""Engines for SQLite and PostgreSQL: connection setup, read and write transactions, upserts and retries."""

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from service.errors import DiskFullError

log = logging.getLogger(__name__)
Result = TypeVar("Result")

#: SQLSTATE `disk_full`, of psycopg's errors.
_POSTGRESQL_DISK_FULL = "53100"
#: Seconds that a SQLite writer waits for another one.
_BUSY_SECONDS = 30
#: Seconds until retries of a lost connection end, and between two attempts.
_RETRY_TIMEOUT_SECONDS, _RETRY_DELAY_SECONDS = 60.0, 0.5


def open_engine(url: str) -> Engine:
    """Return an engine for a database URL.

    Args:
        url: In SQLAlchemy's format: `sqlite:////data/studies.db` or `postgresql+psycopg://user@host/studies`.
    """
    backend = make_url(url).get_backend_name()
    engine = create_engine(url, pool_pre_ping=backend != "sqlite")  # the server may have restarted
    if backend == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def reading_engine(engine: Engine) -> Engine:
    """Return the engine for read transactions; each sees one consistent snapshot.

    Args:
        engine: From `open_engine`.
    """
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing_engine(engine: Engine) -> Engine:
    """Return the engine for write transactions; SQLite takes the write lock when they begin.

    A SQLite transaction that reads first and takes the lock later fails if another one wrote in between.

    Args:
        engine: From `open_engine`.
    """
    if engine.dialect.name == "sqlite":
        return engine.execution_options(writes=True)
    return engine.execution_options(isolation_level="READ COMMITTED")


def upsert(connection: Connection, table: Table, records: Sequence[Mapping[str, object]]) -> None:
    """Insert rows, or update those with the same primary keys.

    Args:
        connection: In a write transaction.
        table: The table.
        records: At least one row, all with the same columns.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    keys = [column.name for column in table.primary_key]
    statement = insert(table)
    updates = {name: statement.excluded[name] for name in records[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=updates), list(records))


def is_disk_full(error: OperationalError) -> bool:
    """Return whether a database operation failed because the database's disk is full.

    Args:
        error: What it raised.
    """
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorcode == sqlite3.SQLITE_FULL
    return getattr(error.orig, "sqlstate", None) == _POSTGRESQL_DISK_FULL


def describe_failure(error: OperationalError) -> str:
    """Return what is wrong with a database, in words.

    Args:
        error: What an operation raised.
    """
    return "the disk of the database is full" if is_disk_full(error) else "the database does not answer"


def retry_on_disconnect(operation: Callable[[], Result]) -> Result:
    """Run a database operation, and retry it when the connection is lost; for processes without clients.

    Args:
        operation: One or more transactions. It must be idempotent: a commit may succeed although its
            confirmation is lost.

    Raises:
        DiskFullError: The database's disk was full for a minute.
        OperationalError: The database was unreachable for a minute.
    """
    deadline = time.monotonic() + _RETRY_TIMEOUT_SECONDS
    while True:
        try:
            return operation()
        except OperationalError as error:
            if time.monotonic() > deadline:
                if is_disk_full(error):
                    raise DiskFullError(f"the disk of the database is full ({error.orig}); free room on it") from error
                raise
            log.warning("%s; it is asked again", describe_failure(error), exc_info=True)
            time.sleep(_RETRY_DELAY_SECONDS)


def _configure_sqlite(connection: object, _entry: ConnectionPoolEntry) -> None:
    sqlite_connection = cast(sqlite3.Connection, connection)
    sqlite_connection.isolation_level = None  # `_begin_sqlite` begins the transactions
    for pragma in (
        f"busy_timeout = {_BUSY_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "secure_delete = FAST",  # some builds default to ON, which overwrites deleted content: ten times as slow
    ):
        sqlite_connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
