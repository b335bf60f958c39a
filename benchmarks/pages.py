"""Response times of the HTTP service with a large database, beside those of an empty route.

Usage: python benchmarks/pages.py [--studies N] [--rounds N] [--database ADDRESS]

A database is filled with 5,000 studies and about 200,000 runs: one of 9,889 runs with four series each, and all others
of 38 runs, each with its report. The service and a process with one empty FastAPI route answer one request at a
time, each kind once a round. Then the large study is deleted while another connection writes repeatedly, as a runner
does to renew its leases; the output includes the longest time that it had to wait.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from overhead import study as large_study
from sqlalchemy import Connection, insert

from service.cli.serve import child_environment
from service.settings import Settings
from service.states import ENDED, State
from service.storage.engine import open_engine
from service.storage.entities import new_id
from service.storage.mappers import Record, pack_record, run_record, series_records, trial_record
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from service.storage.tables import events, packs, reports, runs, series, studies, trials
from studies.records.rows import Lane, Outcome, Pack, Rows, Run, Series, Trial
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from studies.reporting.report import Provenance
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from studies.validation.resolver import resolve

NOW = datetime(2026, 1, 2, tzinfo=UTC)
#: Number of runs of the large study, and of lanes of a pack.
LARGE, LANES = 10_000, 8
#: States of the studies, in proportion to their frequency.
STATES = (
    *[State.SUCCEEDED] * 60,
    *[State.FAILED] * 15,
    *[State.CANCELLED] * 15,
    *[State.QUEUED] * 8,
    State.RUNNING,
    State.PAUSED,
)
SMALL = {
    "name": "small",
    "workloads": [{"name": "linear_regression", "steps": 60}, {"name": "digits_mlp", "steps": 40}],
    "arms": [{"name": "l4adam"}, {"name": "sgd", "search": {"lr": {"low": 1e-6, "high": 1e-2}}}],
    "protocol": {"trials": 8, "confirm_seeds": 5},
}
WORDS = ("sweep", "ablation", "baseline", "seeds", "retry of", "final")


@dataclass(frozen=True, kw_only=True)
class DatabaseContent:
    """The content of the filled database.

    Args:
        large: Id of the study of many runs.
        small: Ids of all others, oldest first.
        runs: Number of runs.
    """

    large: str
    small: Sequence[str]
    runs: int


def finished_rows(spec: StudySpec, *, with_series: bool) -> Rows:
    """Return the rows of a finished study, whose best learning rate lies within its range.

    Args:
        spec: The study.
        with_series: Whether its runs have series.
    """
    points = Series(name="train_loss", steps=tuple(range(1, 201)), values=tuple(1 / step for step in range(1, 201)))
    run_series = tuple(
        Series(name=name, steps=points.steps, values=points.values)
        for name in ("train_loss", "effective_lr", "validation_loss", "validation_accuracy")
    )
    all_trials: list[Trial] = []
    all_packs: list[Pack] = []
    all_runs: list[Run] = []
    for workload in spec.workloads:
        for arm in spec.arms:
            count = spec.protocol.trials if arm.search else 1
            settings = [dict(arm.fixed) | dict.fromkeys(arm.search, 10 ** (-6 + 4 * i / count)) for i in range(count)]
            all_trials += [
                Trial(workload=workload.name, arm=arm.name, number=i, batch=0, setting=setting)
                for i, setting in enumerate(settings)
            ]
            for stage, lanes in (
                (Stage.SEARCH, [Lane(trial=i, seed=0) for i in range(count)]),
                (Stage.CONFIRM, [Lane(trial=count // 2, seed=seed) for seed in spec.confirm_seeds]),
            ):
                for start in range(0, len(lanes), LANES):
                    pack = Pack(
                        number=len(all_packs),
                        workload=workload.name,
                        arm=arm.name,
                        stage=stage,
                        batch=0,
                        lanes=tuple(lanes[start : start + LANES]),
                        done=True,
                        seconds=1.0,
                        host="here",
                    )
                    all_packs.append(pack)
                    all_runs += [
                        Run(
                            workload=workload.name,
                            arm=arm.name,
                            trial=lane.trial,
                            seed=lane.seed,
                            stage=stage,
                            outcome=Outcome.FINISHED,
                            steps=60,
                            start_loss=2.3,
                            train_loss=1e-3 * (1 + abs(lane.trial - count // 2) + math.sin(lane.seed) / 10),
                            metrics={"validation_loss": 0.25, "validation_accuracy": 0.9375},
                            pack=pack.number,
                            lane=index,
                            series=run_series if with_series else (),
                        )
                        for index, lane in enumerate(pack.lanes)
                    ]
    return Rows(trials=tuple(all_trials), packs=tuple(all_packs), runs=tuple(all_runs))


def fill(store: Store, count: int) -> DatabaseContent:
    """Fill an empty database.

    Args:
        store: The database.
        count: Number of studies.
    """
    catalogue = build_catalogue()
    Runners(store).publish(catalogue)
    small, large = resolve(SMALL, catalogue), resolve(large_study(LARGE, "grid"), catalogue)
    small_rows, large_rows = finished_rows(small, with_series=False), finished_rows(large, with_series=True)
    small_report, large_report = report(small, small_rows), report(large, large_rows)
    rng = random.Random(0)
    ids: list[str] = []
    for start in range(0, count - 1, 100):
        with store.writing() as connection:
            for number in range(start, min(start + 100, count - 1)):
                name = f"{WORDS[number % len(WORDS)]} {number} of {count}"
                at = NOW + timedelta(minutes=number)
                ids.append(add(connection, small.model_copy(update={"name": name}), rng.choice(STATES), at))
            added = ids[start:]
            add_rows(connection, added, small_rows)
            connection.execute(insert(reports), [_report_record(study_id, small_report) for study_id in added])
    with store.writing() as connection:
        large_id = add(connection, large, State.SUCCEEDED, NOW + timedelta(minutes=count))
        add_rows(connection, [large_id], large_rows)
        connection.execute(insert(reports), [_report_record(large_id, large_report)])
    return DatabaseContent(large=large_id, small=ids, runs=len(ids) * len(small_rows.runs) + len(large_rows.runs))


def add(connection: Connection, spec: StudySpec, state: State, at: datetime) -> str:
    """Add a study in a state, without rows, and return its id."""
    study_id, ended = new_id(at), state in ENDED
    connection.execute(
        insert(studies).values(
            id=study_id,
            name=spec.name,
            spec=spec.model_dump_json(),
            spec_hash=spec.content_hash,
            state=state.value,
            reason="",
            created_at=at,
            started_at=at,
            ended_at=at if ended else None,
            archived_at=at if ended and at.minute % 10 == 0 else None,
            attempt=1,
        )
    )
    past_states = (State.QUEUED, State.RUNNING, state)
    connection.execute(
        insert(events), [{"study": study_id, "at": at, "kind": past, "message": ""} for past in past_states]
    )
    return study_id


def add_rows(connection: Connection, ids: Sequence[str], rows: Rows) -> None:
    """Add the same rows to several studies."""
    connection.execute(insert(trials), [trial_record(study_id, trial) for study_id in ids for trial in rows.trials])
    connection.execute(insert(packs), [pack_record(study_id, pack) for study_id in ids for pack in rows.packs])
    connection.execute(insert(runs), [run_record(study_id, run) for study_id in ids for run in rows.runs])
    points = [record for study_id in ids for run in rows.runs for record in series_records(study_id, run)]
    if points:
        connection.execute(insert(series), points)


def report(spec: StudySpec, rows: Rows) -> bytes:
    """Return a study's report as JSON."""
    provenance = Provenance(
        study_id="0" * 20,
        spec_hash=spec.content_hash,
        started_at=NOW,
        ended_at=NOW,
        versions={},
        commit="",
        hardware="here",
    )
    return json.dumps(build_report(spec, rows, provenance).model_dump(mode="json"), indent=2).encode()


def _report_record(study_id: str, content: bytes) -> Record:
    return {"study": study_id, "file": "report.json", "content": content}


@contextmanager
def serving(settings: Settings, empty_port: int) -> Generator[None]:
    """Run the service's process, and one with an empty route."""
    empty = multiprocessing.get_context("spawn").Process(target=serve_empty_route, args=(empty_port,))
    empty.start()
    log = (settings.home / "api.log").open("wb")
    service = subprocess.Popen([sys.executable, "-m", "service.app"], env=child_environment(settings), stderr=log)
    try:
        for url in (f"{settings.url}/healthz", f"http://127.0.0.1:{empty_port}/"):
            _wait_for(url)
        yield
    finally:
        service.terminate()
        service.wait()
        log.close()
        empty.terminate()
        empty.join()


def serve_empty_route(port: int) -> None:
    """Serve an application with one empty route."""
    app = FastAPI()

    @app.get("/")
    def _nothing() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {}

    uvicorn.run(app, port=port, access_log=False, log_level="warning")


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(url)


def pages(settings: Settings, content: DatabaseContent, empty_port: int) -> dict[str, str]:
    """Return the URLs of the requests by their description."""
    base, middle = f"{settings.url}/studies", content.small[len(content.small) // 2]
    large = f"{base}/{content.large}"
    return {
        "an empty route": f"http://127.0.0.1:{empty_port}/",
        "studies, first page of 50": base,
        "studies, first page of 200": f"{base}?limit=200",
        "studies, a page from the middle": f"{base}?cursor={middle}",
        "studies, by state": f"{base}?state=FAILED&state=CANCELLED",
        "studies, by state, of which there are few": f"{base}?state=RUNNING&state=PAUSED&limit=200",
        "studies, by name, one fits": f"{base}?name={WORDS[0].upper()} {len(WORDS)} of",
        "studies, by name, none fits": f"{base}?name=nothing like it",
        "studies, archived": f"{base}?archived=true",
        "a study of 38 runs": f"{base}/{middle}",
        "a study of 9,889 runs": large,
        "runs of it, first page of 100": f"{large}/runs",
        "runs of it, first page of 200": f"{large}/runs?limit=200",
        "runs of it, a page near the end": f"{large}/runs?cursor=1100-0",
        "for browsers: the list of studies": f"{settings.url}/",
        "for browsers: a study of 38 runs": f"{settings.url}/pages/studies/{middle}",
        "for browsers: a study of 9,889 runs": f"{settings.url}/pages/studies/{content.large}",
        "for browsers: what changes of it": f"{settings.url}/pages/studies/{content.large}/now",
        "for browsers: curves of it": f"{large}/workloads/w0/curves",
        "report.json of 38 runs": f"{base}/{middle}/report.json",
        "report.json of 9,889 runs": f"{large}/report.json",
    }


def measure(urls: Mapping[str, str], rounds: int) -> None:
    """Print the times of each request, the first one separately."""
    taken: dict[str, list[float]] = {name: [] for name in urls}
    sizes: dict[str, int] = {}
    with httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(rounds + 1):
            for name, url in urls.items():
                start = time.perf_counter()
                answer = client.get(url)
                taken[name].append(time.perf_counter() - start)
                answer.raise_for_status()
                sizes[name] = len(answer.content)
    print("| page | median ms | p99 ms | first ms | KiB |\n| --- | --- | --- | --- | --- |")
    for name, (first, *others) in taken.items():
        figures = (statistics.median(others), sorted(others)[math.ceil(0.99 * len(others)) - 1], first)
        print(f"| {name} | {' | '.join(f'{1e3 * seconds:.1f}' for seconds in figures)} | {sizes[name] / 1024:.1f} |")


def delete(settings: Settings, store: Store, content: DatabaseContent) -> None:
    """Delete the large study, and print its time and the longest wait of another writer."""
    longest, stop = [0.0], threading.Event()

    def write() -> None:
        while not stop.is_set():
            start = time.perf_counter()
            Runners(store).heartbeat("runner", datetime.now(UTC), 30.0)
            longest[0] = max(longest[0], time.perf_counter() - start)
            time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(1.0)
    undisturbed, longest[0] = longest[0], 0.0
    start = time.perf_counter()
    answer = httpx.delete(f"{settings.url}/studies/{content.large}", trust_env=False, timeout=600)
    seconds = time.perf_counter() - start
    stop.set()
    writer.join()
    answer.raise_for_status()
    print(f"\nDELETE of the study of 9,889 runs: {seconds:.2f} s")
    print(f"another writer waited at most {1e3 * longest[0]:.0f} ms, {1e3 * undisturbed:.0f} ms undisturbed")


def main() -> None:
    """Fill a database, measure, and print the times."""
    parser = argparse.ArgumentParser(description="How long pages of a large database take.")
    parser.add_argument("--studies", type=int, default=5000, help="default: 5000")
    parser.add_argument("--rounds", type=int, default=200, help="requests of each page (default: 200)")
    parser.add_argument("--database", default="", help="an empty PostgreSQL database (default: SQLite)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), port=_free(), database=options.database, rate_limit=0)
        engine = open_engine(settings.database_url)
        store = Store(engine)
        store.migrate()
        start = time.perf_counter()
        content = fill(store, options.studies)
        seconds = time.perf_counter() - start
        if engine.dialect.name == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")  # as autovacuum does within minutes
        print(
            f"{engine.dialect.name}: {options.studies} studies, {content.runs} runs, filled in {seconds:.0f} s\n",
            flush=True,
        )
        os.environ |= child_environment(settings)
        empty_port = _free()
        with serving(settings, empty_port):
            measure(pages(settings, content, empty_port), options.rounds)
            delete(settings, store, content)
        engine.dispose()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
