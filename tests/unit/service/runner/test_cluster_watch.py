"""The watch over a cluster's machines goes on, whatever a reading raises."""

import logging
import time
from collections.abc import Callable

import pytest

from service.runner import cluster_watch
from service.runner.cluster_watch import ClusterWatch
from studies.errors import ClusterError
from studies.validation.catalogue import ClusterState

IDLE = ClusterState(can_train=True)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("error", [ClusterError("no head answers"), ValueError("not a valid label")])
def test_a_failed_reading_is_unknown_and_another_follows(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cluster_watch, "_INTERVAL_SECONDS", 0.01)
    answers: list[ClusterState | Exception] = [IDLE]

    def read() -> ClusterState:
        if isinstance(answers[-1], Exception):
            raise answers[-1]
        return answers[-1]

    watch = ClusterWatch(read)
    until(lambda: watch.state() == IDLE)
    answers.append(error)
    with caplog.at_level(logging.WARNING):
        until(lambda: watch.state() is None)
        until(lambda: str(error) in caplog.text)
    answers.append(IDLE)
    until(lambda: watch.state() == IDLE)
