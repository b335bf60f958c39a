"""What a study's next pack waits for."""

import pytest

from studies.execution.pack_source import TOLD_SECONDS, Line


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
def line(clock: Clock, told: list[str]) -> Line:
    return Line(lambda: "0.5 GPU, and the cluster has 2", told.append, clock)


def test_a_pack_that_waits_for_long_is_told_once_and_again_when_it_has_started(
    line: Line, clock: Clock, told: list[str]
) -> None:
    for number in range(4):
        line.handed_out(number)
        line.started(number)
    line.handed_out(4)
    line.look()
    clock.now = TOLD_SECONDS
    for _ in range(3):
        line.look()
    assert told == ["4 packs are in training; the next waits for 0.5 GPU, and the cluster has 2"]
    line.came_back(0)
    line.look()
    assert told[1:] == ["3 packs are in training; the next waits for 0.5 GPU, and the cluster has 2"]
    line.started(4)
    line.look()
    assert told[2:] == [""]
    assert len(line) == 4


def test_short_waits_are_not_told(line: Line, clock: Clock, told: list[str]) -> None:
    for number in range(10):
        line.handed_out(number)
        line.look()
        clock.now += TOLD_SECONDS / 2
        line.look()
        line.started(number)
        line.came_back(number)
    assert told == []


def test_what_is_held_back_for_long_is_told(line: Line, clock: Clock, told: list[str]) -> None:
    line.held_back("as many as its owner may have")
    line.look()
    assert told == []
    clock.now += TOLD_SECONDS
    line.held_back("as many as its owner may have")
    line.look()
    line.held_back("")
    line.look()
    assert told == ["as many as its owner may have", ""]


def test_a_pack_that_was_lost_while_it_waited_waits_no_longer(line: Line, clock: Clock, told: list[str]) -> None:
    line.handed_out(0)
    line.came_back(0)
    clock.now = 100.0
    line.look()
    assert (told, len(line)) == ([], 0)
