"""Many clients at once: 200 for a minute, who read, submit and follow studies, while a study trains on the machine.

Usage: python benchmarks/load.py [--clients N] [--seconds S]

The service is started as `l4-studies serve` does it, with a home of its own that is removed afterwards. Of each ten
clients six read; one submits studies, each with a key; two follow the events of a study; and one asks a FastAPI service
with one empty route, a process of its own. In between they pause for half a second to one and a half, as a page does
that is alive. Printed are the median and the 99th percentile of each kind of request, their ratio to the empty route's,
how often each status came, and how many studies that were submitted are not there at the end.
"""

import argparse
import asyncio
import contextlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from service.cli.serve import run_service
from service.client.client import Client
from service.settings import Settings
from service.states import State

#: What trains meanwhile; longer than the minute.
TRAINED: dict[str, Any] = {
    "name": "trains meanwhile",
    "workloads": [{"name": "digits_mlp", "steps": 4000, "lanes": 4}],
    "arms": [{"name": "l4adam"}, {"name": "sgd", "search": {"lr": {"low": 1e-4, "high": 1e-1}}}],
    "protocol": {"trials": 200, "confirm_seeds": 20},
}
SMALL: dict[str, Any] = {
    "name": "waits",
    "workloads": [{"name": "digits_mlp", "steps": 18}],
    "arms": [{"name": "l4mom"}],
    "protocol": {"confirm_seeds": 6},
}
#: Of ten clients, how many do what.
READERS, SUBMITTERS, FOLLOWERS, EMPTY = 6, 1, 2, 1
PAUSE = (0.5, 1.5)
FOLLOWED_SECONDS = 5.0


class Load:
    """What the clients do, and what they met.

    Args:
        client: Of the service.
        empty: Where the empty route is.
        ended: A study that has a report.
        trained: One that is in training.
    """

    def __init__(self, client: httpx.AsyncClient, empty: str, ended: str, trained: str) -> None:
        """Start with nothing met."""
        self._client, self._empty = client, empty
        self._reads = (
            "/studies",
            f"/studies/{trained}",
            f"/studies/{trained}/runs",
            "/queue",
            f"/studies/{ended}",
            "/readyz",
        )
        self._reads += (f"/studies/{ended}/report.json", f"/studies/{ended}/report.html", "/optimizers")
        self._names = {trained: "{training}", ended: "{ended}"}
        self.submitted: list[str] = [ended, trained]
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[int] = Counter()
        self.events = 0

    async def read(self, drawn: random.Random) -> None:
        """Ask for one thing that people look at."""
        path = drawn.choice(self._reads)
        await self._timed(self._name(f"GET {path}"), self._client.get(path))

    async def ask_the_empty_route(self, drawn: random.Random) -> None:
        """Ask for nothing."""
        await self._timed("the empty route", self._client.get(self._empty))

    async def submit(self, drawn: random.Random) -> None:
        """Submit a study."""
        headers = {"Idempotency-Key": drawn.randbytes(8).hex()}
        answer = await self._timed("POST /studies", self._client.post("/studies", json=SMALL, headers=headers))
        if answer is not None and answer.status_code == 202:
            self.submitted.append(answer.json()["id"])

    async def follow(self, drawn: random.Random) -> None:
        """Follow a study for some seconds."""
        path = f"/studies/{drawn.choice(self.submitted)}/events"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_SECONDS), self._client.stream("GET", path) as answer:
                self.statuses[answer.status_code] += 1
                async for line in answer.aiter_lines():
                    self.events += line.startswith("event:")

    async def _timed(self, name: str, request: Awaitable[httpx.Response]) -> httpx.Response | None:
        start = time.perf_counter()
        try:
            answer = await request
        except httpx.TransportError:
            self.statuses[0] += 1
            return None
        self.seconds[name].append(time.perf_counter() - start)
        self.statuses[answer.status_code] += 1
        return answer

    def _name(self, name: str) -> str:
        for study_id, shown in self._names.items():
            name = name.replace(study_id, shown)
        return name


async def crowd(load: Load, clients: int, seconds: float) -> None:
    """Let clients do what they do, for so long."""
    kinds = [load.read] * READERS + [load.submit] * SUBMITTERS + [load.follow] * FOLLOWERS
    kinds += [load.ask_the_empty_route] * EMPTY
    until = time.monotonic() + seconds

    async def client(number: int, act: Callable[[random.Random], Awaitable[None]]) -> None:
        drawn = random.Random(number)
        await asyncio.sleep(drawn.uniform(0.0, PAUSE[1]))
        while time.monotonic() < until:
            await act(drawn)
            await asyncio.sleep(drawn.uniform(*PAUSE))

    await asyncio.gather(*(client(number, kinds[number % len(kinds)]) for number in range(clients)))


@contextlib.contextmanager
def empty_route() -> Generator[str]:
    """Serve the empty route, and yield where."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "empty_route:app", "--port", str(port), "--log-level", "warning"]
    with subprocess.Popen(command, cwd=Path(__file__).parent) as process:
        url = f"http://127.0.0.1:{port}/"
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url, trust_env=False)
                break
            time.sleep(0.1)
        yield url
        process.terminate()


async def measure(url: str, empty: str, ended: str, trained: str, clients: int, seconds: float) -> Load:
    """Return what the clients met."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30.0, limits=limits) as client:
        load = Load(client, empty, ended, trained)
        await crowd(load, clients, seconds)
    return load


def show(load: Load, there: set[str]) -> None:
    """Print what was met."""
    base = _percentile(load.seconds["the empty route"])
    print(f"{'':40s}{'requests':>9s}{'median, ms':>12s}{'p99, ms':>9s}{'/ empty':>9s}")
    for name, seconds in sorted(load.seconds.items()):
        p99 = _percentile(seconds)
        print(f"{name:40s}{len(seconds):9d}{1e3 * statistics.median(seconds):12.1f}{1e3 * p99:9.1f}{p99 / base:9.1f}")
    print("statuses:", ", ".join(f"{status} {count} times" for status, count in sorted(load.statuses.items())))
    lost = set(load.submitted) - there
    print(f"{len(load.submitted)} studies submitted, {len(lost)} lost; {load.events} events received")


def _percentile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        # all clients have one address, and share its allowance
        settings = Settings(home=Path(home), port=_free_port(), mlflow_port=_free_port(), cpus=1, rate_limit=0)
        with run_service(settings, Console()), Client(settings.url) as client, empty_route() as empty:
            ended = client.submit(SMALL).id
            for _ in client.watch(ended):
                pass
            trained = client.submit(TRAINED).id
            while client.study(trained).progress.done == 0:
                time.sleep(0.2)
            load = asyncio.run(measure(settings.url, empty, ended, trained, chosen.clients, chosen.seconds))
            assert client.study(trained).state is State.RUNNING, "it was too short"
            show(load, {study.id for study in client.studies()})


if __name__ == "__main__":
    main()
