"""The active runners and their catalogue."""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from service.errors import NoCatalogueError, NoMachineError, NoRunnerError
from service.storage.engine import upsert
from service.storage.repositories.studies import Store
from service.storage.tables import catalogue, runners
from studies.validation.catalogue import Catalogue, ClusterState, UnusableMachine


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

    def heartbeat(self, runner_id: str, now: datetime, seconds: float, cluster: ClusterState | None = None) -> None:
        """Record that a runner is active, and delete those whose heartbeats stopped.

        Args:
            runner_id: The runner.
            now: The present time.
            seconds: How long the runner counts as active without another heartbeat.
            cluster: Which machines it trains on; None if that is unknown.
        """
        content = None if cluster is None else cluster.model_dump_json()
        expires_at = now + timedelta(seconds=seconds)
        with self._store.writing() as connection:
            connection.execute(delete(runners).where((runners.c.id == runner_id) | (runners.c.expires_at <= now)))
            connection.execute(insert(runners).values(id=runner_id, expires_at=expires_at, cluster=content))

    def remove(self, runner_id: str) -> None:
        """Delete a runner that stops.

        Args:
            runner_id: The runner.
        """
        with self._store.writing() as connection:
            connection.execute(delete(runners).where(runners.c.id == runner_id))

    def unusable_machines(self, now: datetime) -> tuple[UnusableMachine, ...]:
        """Return the machines that have joined active runners and take no packs.

        Args:
            now: The present time.
        """
        states = self._cluster_states(now)
        return tuple(dict.fromkeys(machine for state in states if state is not None for machine in state.unusable))

    def require_active(self, now: datetime) -> tuple[UnusableMachine, ...]:
        """Check that a runner is active that may train; return the machines that take no packs, if others do.

        Args:
            now: The present time.

        Raises:
            NoRunnerError: No runner is active.
            NoMachineError: No machine takes packs, and some cannot.
        """
        states = self._cluster_states(now)
        if not states:
            raise NoRunnerError(
                "no runner is at work, so that studies would wait in the queue; try again in some seconds, "
                "or start one (`l4-studies serve` starts one with the service)"
            )
        unusable = self.unusable_machines(now)
        if unusable and not any(state is None or state.can_train for state in states):
            raise NoMachineError(
                "no machine takes packs, so that studies would wait: "
                + "; ".join(dict.fromkeys(machine.reason for machine in unusable))
            )
        return unusable

    def _cluster_states(self, now: datetime) -> tuple[ClusterState | None, ...]:
        """Return what each active runner says of its machines."""
        with self._store.reading() as connection:
            contents = connection.execute(select(runners.c.cluster).where(runners.c.expires_at > now)).scalars().all()
        return tuple(None if content is None else ClusterState.model_validate_json(content) for content in contents)
