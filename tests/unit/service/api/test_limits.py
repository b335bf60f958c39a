"""Limits on one client: few computations run at a time, and neither they nor streams are without end."""

import asyncio
import threading
from contextlib import ExitStack

import pytest
from fastapi.concurrency import run_in_threadpool

from service.api.limits import MAX_COMPUTATIONS, MAX_CONCURRENT, MAX_STREAMS, Computations, limit_streams
from service.errors import TooManyRequestsError


def test_few_run_at_a_time_and_other_requests_find_a_thread() -> None:
    computations, running, most = Computations(), 0, 0
    lock, release = threading.Lock(), threading.Event()

    def compute(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait()
        with lock:
            running -= 1
        return number

    async def ask() -> list[int]:
        waiting = [asyncio.create_task(computations.run(f"{number % 10}", compute, number)) for number in range(100)]
        try:
            # as many as there are threads for requests, all of which find one
            await asyncio.gather(*(run_in_threadpool(lambda: None) for _ in range(100)))
            assert not any(task.done() for task in waiting)
        finally:
            release.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == list(range(100))
    assert most == MAX_CONCURRENT


def test_one_client_fills_no_line_of_computations() -> None:
    computations, release = Computations(), threading.Event()

    async def ask() -> tuple[list[bool | BaseException], bool]:
        waiting = [asyncio.create_task(computations.run("one", release.wait)) for _ in range(MAX_COMPUTATIONS + 5)]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 5
        finally:
            release.set()
        return await asyncio.gather(*waiting, return_exceptions=True), await computations.run("one", lambda: True)

    answers, after = asyncio.run(ask())
    assert answers[:MAX_COMPUTATIONS] == [True] * MAX_COMPUTATIONS
    assert all(isinstance(each, TooManyRequestsError) for each in answers[MAX_COMPUTATIONS:])
    assert after


def test_nobody_waits_for_all_that_another_client_asked_for() -> None:
    computations, order = Computations(), list[str]()

    async def ask() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(MAX_COMPUTATIONS):
                group.create_task(computations.run("one", order.append, "one"))
            group.create_task(computations.run("another", order.append, "another"))

    asyncio.run(ask())
    assert len(order) == MAX_COMPUTATIONS + 1
    assert order.index("another") < 5


def test_each_client_has_its_own_number_of_streams_and_gets_back_what_it_closes() -> None:
    streams = limit_streams()
    with ExitStack() as opened:
        for _ in range(MAX_STREAMS):
            opened.enter_context(streams.hold("one"))
        for _ in range(2):  # what is refused is not counted
            with pytest.raises(TooManyRequestsError, match=f"{MAX_STREAMS} streams"), streams.hold("one"):
                pass
        with streams.hold("another"):
            pass
    with pytest.raises(OSError, match="gone"), streams.hold("one"):
        raise OSError("gone")
    with ExitStack() as opened:
        for _ in range(MAX_STREAMS):
            opened.enter_context(streams.hold("one"))
