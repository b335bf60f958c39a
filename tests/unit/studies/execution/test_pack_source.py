"""What a study's next pack waits for."""

import pytest

from studies.execution.pack_source import MIN_WAIT_SECONDS, InFlightPacks


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def line(clock: Clock, told: list[str]) -> InFlightPacks:
    return InFlightPacks(lambda: "0.5 GPU, and the cluster has 2", told.append, clock)


def test_a_pack_that_waits_for_long_is_told_once_and_again_when_it_has_started(
    line: InFlightPacks, clock: Clock, told: list[str]
) -> None:
    for number in range(4):
        line.submitted(number)
        line.started(number)
    line.submitted(4)
    line.report_wait()
    clock.now = MIN_WAIT_SECONDS
    for _ in range(3):
        line.report_wait()
    assert told == ["4 packs are in training; the next waits for 0.5 GPU, and the cluster has 2"]
    line.completed(0)
    line.report_wait()
    assert told[1:] == ["3 packs are in training; the next waits for 0.5 GPU, and the cluster has 2"]
    line.started(4)
    line.report_wait()
    assert told[2:] == [""]
    assert len(line) == 4


def test_short_waits_are_not_told(line: InFlightPacks, clock: Clock, told: list[str]) -> None:
    for number in range(10):
        line.submitted(number)
        line.report_wait()
        clock.now += MIN_WAIT_SECONDS / 2
        line.report_wait()
        line.started(number)
        line.completed(number)
    assert told == []


def test_what_is_held_back_for_long_is_told(line: InFlightPacks, clock: Clock, told: list[str]) -> None:
    line.throttled("as many as its owner may have")
    line.report_wait()
    assert told == []
    clock.now += MIN_WAIT_SECONDS
    line.throttled("as many as its owner may have")
    line.report_wait()
    line.throttled("")
    line.report_wait()
    assert told == ["as many as its owner may have", ""]


def test_a_pack_that_was_lost_while_it_waited_waits_no_longer(
    line: InFlightPacks, clock: Clock, told: list[str]
) -> None:
    line.submitted(0)
    line.completed(0)
    clock.now = 100.0
    line.report_wait()
    assert (told, len(line)) == ([], 0)
