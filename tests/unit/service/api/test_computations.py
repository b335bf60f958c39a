"""Computations: few at a time, and other work in threads is not kept waiting by those that are in line."""

import asyncio
import threading

from fastapi.concurrency import run_in_threadpool

from service.api.computations import MAX_CONCURRENT, Computations


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
        waiting = [asyncio.create_task(computations.run(compute, number)) for number in range(100)]
        try:
            # as many as there are threads for requests, all of which find one
            await asyncio.gather(*(run_in_threadpool(lambda: None) for _ in range(100)))
            assert not any(task.done() for task in waiting)
        finally:
            release.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == list(range(100))
    assert most == MAX_CONCURRENT
