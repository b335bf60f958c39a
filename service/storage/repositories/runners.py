"""The active runners and their catalogue."""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from service.errors import NoCatalogueError, NoRunnerError
from service.storage.engine import upsert
from service.storage.repositories.studies import Store
from service.storage.tables import catalogue, runners
from studies.validation.catalogue import Catalogue


class Runners:
    """The runners of one database.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        """Read and write nothing yet."""
        self._store = store

    def publish(self, new_catalogue: Catalogue) -> None:
        """Replace the catalogue.

        Args:
            new_catalogue: What the runner can train.
        """
        with self._store.writing() as connection:
            upsert(connection, catalogue, [{"id": 1, "content": new_catalogue.model_dump_json()}])

    def catalogue(self) -> Catalogue:
        """Return the catalogue.

        Raises:
            NoCatalogueError: No runner has published one yet.
        """
        with self._store.reading() as connection:
            content = connection.execute(select(catalogue.c.content)).scalar_one_or_none()
        if content is None:
            raise NoCatalogueError(
                "no runner has published yet what it can train; try again in some seconds, "
                "or start one (`l4-studies serve` starts one with the service)"
            )
        return Catalogue.model_validate_json(content)

    def heartbeat(self, runner_id: str, now: datetime, seconds: float) -> None:
        """Record that a runner is active, and delete those whose heartbeats stopped.

        Args:
            runner_id: The runner.
            now: The present time.
            seconds: How long the runner counts as active without another heartbeat.
        """
        expires_at = now + timedelta(seconds=seconds)
        with self._store.writing() as connection:
            connection.execute(delete(runners).where((runners.c.id == runner_id) | (runners.c.expires_at <= now)))
            connection.execute(insert(runners).values(id=runner_id, expires_at=expires_at))

    def remove(self, runner_id: str) -> None:
        """Delete a runner that stops.

        Args:
            runner_id: The runner.
        """
        with self._store.writing() as connection:
            connection.execute(delete(runners).where(runners.c.id == runner_id))

    def require_active(self, now: datetime) -> None:
        """Check that a runner is active.

        Args:
            now: The present time.

        Raises:
            NoRunnerError: No runner is active.
        """
        with self._store.reading() as connection:
            active = connection.execute(select(runners.c.id).where(runners.c.expires_at > now).limit(1)).first()
        if active is None:
            raise NoRunnerError(
                "no runner is at work, so that studies would wait in the queue; try again in some seconds, "
                "or start one (`l4-studies serve` starts one with the service)"
            )
