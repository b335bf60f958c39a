"""Token buckets by a clock of the test's own."""

import math

from hypothesis import given
from hypothesis import strategies as st

from service.api.middleware.rate_limit import RateLimiter


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_tokens_may_be_taken_at_once_and_then_as_they_come() -> None:
    clock = Clock()
    limiter = RateLimiter(6, clock)
    assert [limiter.acquire("a") for _ in range(6)] == [0] * 6
    assert limiter.acquire("a") == limiter.acquire("a") == 10  # what is refused costs nothing
    assert limiter.acquire("b") == 0
    clock.now += 9
    assert math.isclose(limiter.acquire("a"), 1)
    clock.now += 1
    assert limiter.acquire("a") == 0
    assert limiter.acquire("a") == 10
    clock.now += 3600
    assert [limiter.acquire("a") for _ in range(7)] == [0] * 6 + [10]


def test_without_a_limit_nothing_is_refused_or_kept() -> None:
    limiter = RateLimiter(0, Clock())
    assert [limiter.acquire("a") for _ in range(1000)] == [0] * 1000
    assert limiter.tracked_clients == 0


def test_who_has_not_asked_for_a_while_is_forgotten() -> None:
    clock = Clock()
    limiter = RateLimiter(60, clock)
    for i in range(1000):
        limiter.acquire(str(i))
    assert limiter.tracked_clients == 1000
    clock.now += 61
    limiter.acquire("another")
    assert limiter.tracked_clients == 1


@given(
    per_minute=st.integers(1, 1000),
    waits=st.lists(st.floats(0, 30, allow_subnormal=False), min_size=1, max_size=200),
)
def test_no_minute_has_more_than_two_minutes_tokens_and_who_waits_as_told_is_let_in(
    per_minute: int, waits: list[float]
) -> None:
    clock = Clock()
    limiter = RateLimiter(per_minute, clock)
    taken: list[float] = []
    for wait in waits:
        clock.now += wait
        seconds = limiter.acquire("a")
        assert 0 <= seconds <= 60 / per_minute + 1e-6
        if seconds:
            clock.now += seconds + 1e-6
            assert limiter.acquire("a") == 0
        taken.append(clock.now)
    for start in taken:
        assert sum(start <= at < start + 60 for at in taken) <= 2 * per_minute + 1
