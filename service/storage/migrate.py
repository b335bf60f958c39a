"""Brings a database to the tables of this version; Alembic is only imported where there is a change."""

import re
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from service.errors import ForeignDatabaseError, UnreachableError
from service.settings import Settings
from service.storage.engine import open_engine, writing_engine

_FOLDER = Path(__file__).with_name("migrations")
#: Any number, the same for all processes: who migrates holds PostgreSQL's lock of it.
_LOCK = 4_104_104


def latest_revision() -> str:
    """Return the newest revision that this version knows."""
    return revisions()[-1]


def revisions() -> tuple[str, ...]:
    """Return all revisions that this version knows, oldest first."""
    found = (re.fullmatch(r"v(\d{4})_\w+", file.stem) for file in (_FOLDER / "versions").glob("v*.py"))
    return tuple(sorted(match[1] for match in found if match is not None))


def current_revision(connection: Connection) -> str | None:
    """Return a database's revision, None where it is empty.

    Args:
        connection: In a transaction.

    Raises:
        ForeignDatabaseError: It has tables, but not from a migration of ours.
    """
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    if tables:
        there = ", ".join(sorted(tables)[:3])
        raise ForeignDatabaseError(
            f"the database has tables ({there}, ...) that others made, or this service before it kept its versions; "
            "move it away (SQLite: `studies.db` in L4_HOME), or name an empty one with L4_DATABASE"
        )
    return None


def migrate(connection: Connection, revision: str | None = None) -> None:
    """Bring a database to a revision, all of the way or not at all.

    Args:
        connection: In a transaction that writes.
        revision: The revision; the newest where None.

    Raises:
        ForeignDatabaseError: It is of a newer version than this one, or of none.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = current_revision(connection)
    if found is not None and found not in revisions():
        raise ForeignDatabaseError(
            f"the database is at revision {found}, of a newer version than this one, which knows {latest_revision()}; "
            "run the newer version"
        )
    if found == (revision or latest_revision()):
        return
    # imported where it is used: the HTTP process is light
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision or latest_revision())


def migrate_database(settings: Settings) -> str:
    """Bring a deployment's database to the newest revision, and return that.

    Args:
        settings: The deployment's.

    Raises:
        ForeignDatabaseError: The database is of a newer version, or not of this service.
        UnreachableError: It does not answer.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = writing_engine(open_engine(settings.database_url))
    try:
        with engine.begin() as connection:
            migrate(connection)
    except OperationalError as error:
        raise UnreachableError(f"the database at {engine.url!r} does not answer: {error.orig}") from error
    finally:
        engine.dispose()
    return latest_revision()
