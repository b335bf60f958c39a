"""Opens the database: SQLite set up for several processes, anything else as SQLAlchemy opens it."""

import sqlite3
from typing import cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

#: Seconds that a writer waits for another one.
_BUSY_SECONDS = 30


def open_engine(url: str) -> Engine:
    """Return an engine for the database at an address.

    Args:
        url: SQLAlchemy's address, as in `sqlite:////data/studies.db`.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
    return engine


def for_writing(engine: Engine) -> Engine:
    """Return the same engine for transactions that write: SQLite's take the write lock when they begin.

    A transaction that reads first and asks for the lock later fails at once if another one wrote in between.

    Args:
        engine: From `open_engine`.
    """
    return engine.execution_options(writes=True)


def _set_up(connection: object, _entry: ConnectionPoolEntry) -> None:
    sqlite = cast(sqlite3.Connection, connection)
    sqlite.isolation_level = None  # transactions begin where `_begin` says
    for pragma in (
        f"busy_timeout = {_BUSY_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        sqlite.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
