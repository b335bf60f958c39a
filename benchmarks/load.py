"""A load test: 200 clients read, submit and follow studies for a minute, while a study trains on the machine.

Usage: python benchmarks/load.py [--clients N] [--seconds S] [--log-followers N]

The service starts as with `l4-studies serve`, in a temporary home. Of ten clients, six read, one submits studies with
idempotency keys, two follow the events of a study, and one requests an empty route of a separate FastAPI process.
Between requests they pause for 0.5 to 1.5 seconds, as a live page does. The output is the median and the 99th
percentile of each kind of request, their ratio to the empty route's, the number of responses by status, and the number
of submitted studies that are missing at the end.

With log followers it measures twice: without them, and while they all follow the log of the study that trains, with one
key, from their own process; those that are refused ask again when the service says. The output is then also how many
streams were open and refused, and the ratio of the two medians and percentiles of all reads together.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import random
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from service.auth.keys import open_api_keys
from service.cli.serve import run_service
from service.client.client import Client
from service.roles import Role
from service.settings import Access, Settings
from service.states import State

#: The study that trains during the test; it takes longer than a minute.
BACKGROUND_STUDY: dict[str, Any] = {
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
#: Number of clients of each kind, of ten.
READERS, SUBMITTERS, FOLLOWERS, EMPTY = 6, 1, 2, 1
PAUSE = (0.5, 1.5)
FOLLOWED_SECONDS = 5.0
#: Seconds in which the log followers connect before the clients begin.
FOLLOWERS_START = 10.0


class Load:
    """The clients' requests, and their recorded responses.

    Args:
        connect: Returns a new client of the service.
        empty: URL of the empty route.
        ended: Id of a study that has a report.
        trained: Id of a study that is training.
    """

    def __init__(self, connect: Callable[[], httpx.AsyncClient], empty: str, ended: str, trained: str) -> None:
        """Start without any responses."""
        self.connect, self._empty = connect, empty
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

    async def read(self, client: httpx.AsyncClient, rng: random.Random) -> None:
        """Request a random resource."""
        path = rng.choice(self._reads)
        await self._timed(self._name(f"GET {path}"), client.get(path))

    async def request_empty_route(self, client: httpx.AsyncClient, rng: random.Random) -> None:
        """Request the empty route."""
        await self._timed("the empty route", client.get(self._empty))

    async def submit(self, client: httpx.AsyncClient, rng: random.Random) -> None:
        """Submit a study."""
        headers = {"Idempotency-Key": rng.randbytes(8).hex()}
        answer = await self._timed("POST /studies", client.post("/studies", json=SMALL, headers=headers))
        if answer is not None and answer.status_code == 202:
            self.submitted.append(answer.json()["id"])

    async def follow(self, client: httpx.AsyncClient, rng: random.Random) -> None:
        """Follow a study for some seconds."""
        path = f"/studies/{rng.choice(self.submitted)}/events"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_SECONDS), client.stream("GET", path) as answer:
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
        for study_id, placeholder in self._names.items():
            name = name.replace(study_id, placeholder)
        return name


async def run_clients(load: Load, clients: int, seconds: float) -> None:
    """Run clients of all kinds for some seconds."""
    actions = [load.read] * READERS + [load.submit] * SUBMITTERS + [load.follow] * FOLLOWERS
    actions += [load.request_empty_route] * EMPTY
    until = time.monotonic() + seconds

    async def client(number: int, act: Callable[[httpx.AsyncClient, random.Random], Awaitable[None]]) -> None:
        rng = random.Random(number)
        await asyncio.sleep(rng.uniform(0.0, PAUSE[1]))
        async with load.connect() as connected:  # a pool of all connections would be the slowest part
            while time.monotonic() < until:
                await act(connected, rng)
                await asyncio.sleep(rng.uniform(*PAUSE))

    await asyncio.gather(*(client(number, actions[number % len(actions)]) for number in range(clients)))


@contextlib.contextmanager
def empty_route() -> Generator[str]:
    """Serve the empty route, and yield its URL."""
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


def follow_logs(url: str, key: str, path: str, count: int, seconds: float) -> Counter[int]:
    """Follow a log so many times for some seconds, and return the number of responses by status."""
    statuses = Counter[int]()

    async def follow() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                connect = connector(url, key)
                await asyncio.gather(*(follow_log(connect, path, statuses) for _ in range(count)))

    asyncio.run(follow())
    return statuses


async def follow_log(connect: Callable[[], httpx.AsyncClient], path: str, statuses: Counter[int]) -> None:
    """Follow a log without end, and ask again after each refusal or end, when the service says or in a second."""
    async with connect() as client:
        while True:
            seconds = 1.0
            try:
                async with client.stream("GET", path, params={"follow": True}) as answer:
                    statuses[answer.status_code] += 1
                    seconds = float(answer.headers.get("Retry-After", seconds))
                    async for _ in answer.aiter_bytes():
                        pass
            except httpx.TransportError:
                statuses[0] += 1
            await asyncio.sleep(seconds)


def connector(url: str, key: str) -> Callable[[], httpx.AsyncClient]:
    """Return a function that makes a client with a key."""
    access, tls = {"Authorization": f"Bearer {key}"}, ssl.create_default_context()  # which takes long to make
    return lambda: httpx.AsyncClient(base_url=url, headers=access, trust_env=False, timeout=30.0, verify=tls)


async def measure(
    url: str, key: str, empty: str, ended: str, trained: str, clients: int, seconds: float, followers: str, count: int
) -> Load:
    """Run the clients, beside log followers with a key of their own, and return the clients' recorded responses."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own:
        path = f"/studies/{trained}/logs"
        following = own.submit(follow_logs, url, followers, path, count, seconds + FOLLOWERS_START) if count else None
        if following is not None:
            await asyncio.sleep(FOLLOWERS_START)
        load = Load(connector(url, key), empty, ended, trained)
        await run_clients(load, clients, seconds)
        if following is not None:
            statuses = sorted(following.result().items())
            print("log followers:", ", ".join(f"{status} {times} times" for status, times in statuses))
    return load


def compare(without: Load, beside: Load) -> None:
    """Print how much slower all reads together were beside the log followers."""
    reads = [
        [s for name, taken in load.seconds.items() if name.startswith("GET") for s in taken]
        for load in (without, beside)
    ]
    medians, percentiles = [statistics.median(each) for each in reads], [_percentile(each) for each in reads]
    print(
        f"all reads, without and beside log followers: median {1e3 * medians[0]:.1f} and {1e3 * medians[1]:.1f} ms "
        f"({medians[1] / medians[0]:.2f}), p99 {1e3 * percentiles[0]:.1f} and {1e3 * percentiles[1]:.1f} ms "
        f"({percentiles[1] / percentiles[0]:.2f})"
    )


def show(load: Load, existing: set[str]) -> None:
    """Print the recorded responses."""
    base = _percentile(load.seconds["the empty route"])
    print(f"{'':40s}{'requests':>9s}{'median, ms':>12s}{'p99, ms':>9s}{'/ empty':>9s}")
    for name, seconds in sorted(load.seconds.items()):
        p99 = _percentile(seconds)
        print(f"{name:40s}{len(seconds):9d}{1e3 * statistics.median(seconds):12.1f}{1e3 * p99:9.1f}{p99 / base:9.1f}")
    print("statuses:", ", ".join(f"{status} {count} times" for status, count in sorted(load.statuses.items())))
    lost = set(load.submitted) - existing
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
    parser.add_argument("--log-followers", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=Path(home),
            port=_free_port(),
            mlflow_port=_free_port(),
            cpus=1,
            rate_limit=0,  # all clients have one key
            access=Access.KEYS,
        )
        with open_api_keys(settings) as keys:
            key = keys.create("clients", Role.ADMIN, datetime.now(UTC))
            followers = keys.create("followers", Role.READER, datetime.now(UTC))
        with run_service(settings, Console()), Client(settings.url, key=key) as client, empty_route() as empty:
            ended = client.submit(SMALL).id
            for _ in client.watch(ended):
                pass
            trained = client.submit(BACKGROUND_STUDY).id
            while client.study(trained).progress.done == 0:
                time.sleep(0.2)
            loads: list[Load] = []
            for count in dict.fromkeys((0, options.log_followers)):
                arguments = (empty, ended, trained, options.clients, options.seconds, followers, count)
                loads.append(asyncio.run(measure(settings.url, key, *arguments)))
                assert client.study(trained).state is State.RUNNING, "it was too short"
                show(loads[-1], {study.id for study in client.studies()})
            if len(loads) == 2:
                compare(*loads)


if __name__ == "__main__":
    main()
