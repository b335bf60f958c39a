"""What Prometheus scrapes: the census of the database, taken when it asks, and the times of this process's requests."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.storage.repositories.snapshot import Census, census
from service.storage.repositories.studies import Store

log = logging.getLogger(__name__)

#: Upper ends of the histogram's buckets, in seconds: most answers take milliseconds.
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@final
class Exposition:
    """What one HTTP process shows to Prometheus.

    Args:
        store: Gives the database.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        """Start with no request."""
        self.registry = CollectorRegistry()
        self.registry.register(_Counted(store))
        self._requests = Histogram(
            "l4_http_request_seconds",
            "From a request to the start of its answer.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            method: Of a few.
            route: The path's template, of a few too.
            status: Of its answer.
            seconds: To the start of its answer.
        """
        self._requests.labels(method, route, f"{status // 100}xx").observe(seconds)


@final
class _Counted(Collector):
    """The census, taken at every scrape: it is right whenever this process was started.

    Args:
        store: Gives the database.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        """Keep it; nothing is read yet."""
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield whether the database answers, and where it does what there is."""
        try:
            with self._store().reading() as connection:
                found = census(connection, datetime.now(UTC))
        except (OperationalError, PoolTimeoutError):
            log.warning("the database does not answer", exc_info=True)
            found = None
        yield GaugeMetricFamily("l4_database_up", "Whether the database answered.", value=found is not None)
        if found is not None:
            yield from _families(found)


def _families(found: Census) -> Iterator[Metric]:
    studies = GaugeMetricFamily("l4_studies", "Studies by state.", labels=["state"])
    for state, count in found.studies.items():
        studies.add_metric([state.value], count)
    runs = CounterMetricFamily("l4_runs", "Runs done, by outcome.", labels=["outcome"])
    for outcome, count in found.runs.items():
        runs.add_metric([outcome.value], count)
    yield studies
    yield runs
    for name, help_text, value in (
        ("l4_queue_oldest_seconds", "The longest that a study has been in the queue.", found.queued_seconds),
        ("l4_lanes", "Lanes of packs in training or next in line, dead ones included.", found.lanes),
        ("l4_lanes_filled", "Those of l4_lanes that have a run.", found.filled),
        ("l4_unrecorded_runs", "Runs that MLflow does not have yet.", found.unrecorded),
        ("l4_runners", "Runners at work.", found.runners),
        ("l4_undelivered_messages", "What webhooks are still to be told.", found.undelivered),
        ("l4_webhooks_failing", "Webhooks that did not take what they were told last.", found.failing),
    ):
        yield GaugeMetricFamily(name, help_text, value=value)
