"""Migrates a database to a schema revision; imports Alembic only when there is something to migrate."""

import re
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from service.errors import DiskFullError, ForeignDatabaseError, UnreachableError
from service.home import prepare_home
from service.settings import Settings
from service.storage.engine import is_disk_full, open_engine, writing_engine

_FOLDER = Path(__file__).with_name("migrations")
#: Id of PostgreSQL's advisory lock that serializes migrations.
_LOCK = 4_104_104


def latest_revision() -> str:
    """Return the newest revision of this version's migrations."""
    return revisions()[-1]


def revisions() -> tuple[str, ...]:
    """Return all revisions of this version's migrations, oldest first."""
    matches = (re.fullmatch(r"v(\d{4})_\w+", file.stem) for file in (_FOLDER / "versions").glob("v*.py"))
    return tuple(sorted(match[1] for match in matches if match is not None))


def current_revision(connection: Connection) -> str | None:
    """Return a database's revision, None if it is empty.

    Args:
        connection: In a transaction.

    Raises:
        ForeignDatabaseError: Its tables are not from this service's migrations.
    """
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    if tables:
        sample = ", ".join(sorted(tables)[:3])
        raise ForeignDatabaseError(
            f"the database has tables ({sample}, ...) that others made, or this service before it kept its versions; "
            "move it away (SQLite: `studies.db` in L4_HOME), or name an empty one with L4_DATABASE"
        )
    return None


def migrate(connection: Connection, revision: str | None = None) -> None:
    """Migrate a database to a revision, in the caller's transaction.

    Args:
        connection: In a write transaction.
        revision: The target; None for the newest.

    Raises:
        ForeignDatabaseError: The database is from a newer version, or not of this service.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    existing = current_revision(connection)
    if existing is not None and existing not in revisions():
        raise ForeignDatabaseError(
            f"the database is at revision {existing}, of a newer version than this one, which knows "
            f"{latest_revision()}; run the newer version"
        )
    if existing == (revision or latest_revision()):
        return
    # imported only when needed: Alembic is slow to import
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision or latest_revision())


def migrate_database(settings: Settings) -> str:
    """Migrate a deployment's database to the newest revision, and return that revision.

    Args:
        settings: The deployment's settings.

    Raises:
        ForeignDatabaseError: The database is from a newer version, or not of this service.
        DiskFullError: The database's disk is full.
        UnreachableError: The database cannot be reached.
        UnwritableHomeError: The folder of the SQLite database cannot be written to.
    """
    if not settings.database:
        prepare_home(settings.home)
    engine = writing_engine(open_engine(settings.database_url))
    try:
        with engine.begin() as connection:
            migrate(connection)
    except OperationalError as error:
        if is_disk_full(error):
            raise DiskFullError(f"the disk of the database at {engine.url!r} is full; free room on it") from error
        raise UnreachableError(f"the database at {engine.url!r} does not answer: {error.orig}") from error
    finally:
        engine.dispose()
    return latest_revision()
