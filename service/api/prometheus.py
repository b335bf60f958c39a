"""Prometheus metrics: counts from the database, read at each scrape, and request times of this process."""

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

from service.storage.repositories.snapshot import Snapshot, read_snapshot
from service.storage.repositories.studies import Store

log = logging.getLogger(__name__)

#: Upper bounds of the histogram's buckets, in seconds: most responses take milliseconds.
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@final
class PrometheusMetrics:
    """The metrics of one HTTP process.

    Args:
        get_store: Returns the database.
    """

    def __init__(self, get_store: Callable[[], Store]) -> None:
        """Register the metrics."""
        self.registry = CollectorRegistry()
        self.registry.register(_DatabaseCollector(get_store))
        self._request_seconds = Histogram(
            "l4_http_request_seconds",
            "From a request to the start of its answer.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record a request.

        Args:
            method: One of a fixed set.
            route: The path's template, also one of a fixed set.
            status: The response's status.
            seconds: Time until the start of the response.
        """
        self._request_seconds.labels(method, route, f"{status // 100}xx").observe(seconds)


@final
class _DatabaseCollector(Collector):
    """Reads the counts at every scrape, so that they do not depend on when this process started."""

    def __init__(self, get_store: Callable[[], Store]) -> None:
        self._get_store = get_store

    def collect(self) -> Iterator[Metric]:
        """Yield whether the database answers and, if it does, the counts."""
        try:
            with self._get_store().reading() as connection:
                counts = read_snapshot(connection, datetime.now(UTC))
        except (OperationalError, PoolTimeoutError):
            log.warning("the database does not answer", exc_info=True)
            counts = None
        yield GaugeMetricFamily("l4_database_up", "Whether the database answered.", value=counts is not None)
        if counts is not None:
            yield from _metric_families(counts)


def _metric_families(counts: Snapshot) -> Iterator[Metric]:
    studies = GaugeMetricFamily("l4_studies", "Studies by state.", labels=["state"])
    for state, count in counts.studies.items():
        studies.add_metric([state.value], count)
    runs = CounterMetricFamily("l4_runs", "Runs done, by outcome.", labels=["outcome"])
    for outcome, count in counts.runs.items():
        runs.add_metric([outcome.value], count)
    yield studies
    yield runs
    for name, help_text, value in (
        ("l4_queue_oldest_seconds", "The longest that a study has been in the queue.", counts.queued_seconds),
        ("l4_lanes", "Lanes of packs in training or next in line, dead ones included.", counts.lanes),
        ("l4_lanes_filled", "Those of l4_lanes that have a run.", counts.occupied_lanes),
        ("l4_unrecorded_runs", "Runs that MLflow does not have yet.", counts.unrecorded_runs),
        ("l4_runners", "Runners at work.", counts.runners),
        ("l4_undelivered_messages", "What webhooks are still to be told.", counts.pending_deliveries),
        ("l4_webhooks_failing", "Webhooks that did not take what they were told last.", counts.failing_webhooks),
    ):
        yield GaugeMetricFamily(name, help_text, value=value)
