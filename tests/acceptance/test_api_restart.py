"""Commands that follow a study go on where they were after the HTTP process was stopped and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.auth.keys import ApiKeys
from service.roles import Role
from service.settings import Settings
from service.states import State
from service.storage.engine import open_engine
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue
from tests.support.paths import ROOT
from tests.support.services.http_process import free_port, started, wait_until_alive
from tests.support.services.proxy import proxied
from tests.support.services.waiting import SECONDS

pytestmark = pytest.mark.slow

AWAY, BACK = "Trying again for up to 10 min", "answers again"


class Api:
    """The HTTP process, which can be stopped and started again on the same port and home."""

    def __init__(self, home: Path) -> None:
        """Start nothing yet."""
        self.settings = Settings(home=home, port=free_port())
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Start it, and wait until it answers.

        Args:
            settings: More of its environment.
        """
        process = started(self.settings.home, self.settings.port, open_files=None, **settings)
        self._process = self._stack.enter_context(process)
        wait_until_alive(self._process, self.settings.port)

    def stop(self, number: signal.Signals) -> None:
        """End it."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=SECONDS)

    def close(self) -> None:
        """Kill what still runs."""
        self._stack.close()


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that runs."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return once a condition holds; the command must not end meanwhile."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self.stderr.read_text()
            assert time.monotonic() < deadline, self.stdout.read_text() + self.stderr.read_text()
            time.sleep(0.05)

    def says(self, text: str) -> None:
        """Return once it has said something on standard error."""
        self.wait_for(lambda: text in self.stderr.read_text())

    def printed(self, text: str) -> None:
        """Return once it has printed something."""
        self.wait_for(lambda: text in self.stdout.read_text())


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    made = Api(tmp_path / "home")
    made.start()
    yield made
    made.close()


@pytest.fixture
def store(api: Api) -> Iterator[Store]:
    """The database of that process."""
    engine = open_engine(api.settings.database_url)
    yield Store(engine)
    engine.dispose()


@contextmanager
def running(api: Api, folder: Path, *arguments: str, **variables: str) -> Generator[Command]:
    """Run `l4-studies`, and kill it at the end."""
    folder.mkdir(exist_ok=True)
    stdout, stderr = folder / "stdout.txt", folder / "stderr.txt"
    environment = os.environ | {"L4_URL": api.settings.url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment |= variables
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *arguments], env=environment, stdout=out, stderr=err
        )
    try:
        yield Command(process=process, stdout=stdout, stderr=stderr)
    finally:
        process.kill()
        process.wait()


def claim(store: Store) -> None:
    assert store.claim(datetime.now(UTC), 3600) is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_log_that_is_followed_loses_and_repeats_no_line(
    api: Api, store: Store, spec: StudySpec, tmp_path: Path, number: signal.Signals
) -> None:
    study_id = store.add_study(spec, datetime.now(UTC))
    claim(store)
    log = api.settings.driver_log(study_id)
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {i}\n" for i in range(1000)))
    with running(api, tmp_path, "logs", "--follow", "--lines", "10", study_id) as command, log.open("a") as file:
        command.printed("line 999\n")
        for restart in range(2):
            file.write(f"before {restart}\nbroken ")
            file.flush()
            command.printed(f"before {restart}\n")
            api.stop(number)
            command.wait_for(lambda restart=restart: command.stderr.read_text().count(AWAY) == restart + 1)
            file.write(f"off {restart}\n" + "".join(f"while away {restart} {i}\n" for i in range(50)))
            file.flush()
            api.start()
            command.wait_for(lambda restart=restart: command.stderr.read_text().count(BACK) == restart + 1)
        file.write("the last\n")
        file.flush()
        store.transition(study_id, State.FAILED, "")
        assert command.process.wait(timeout=SECONDS) == 0
    assert f"the connection to the service at {api.settings.url} broke off" in command.stderr.read_text()
    expected = log.read_text().splitlines()[990:]
    assert len(expected) == 10 + 2 * 52 + 1
    assert command.stdout.read_text().splitlines() == expected


def test_a_study_that_is_watched_is_watched_on(api: Api, store: Store, spec: StudySpec, tmp_path: Path) -> None:
    study_id = store.add_study(spec, datetime.now(UTC))
    with running(api, tmp_path, "watch", study_id) as command:
        command.printed("QUEUED")
        api.stop(signal.SIGTERM)
        command.says(AWAY)
        claim(store)
        api.start()
        command.printed("RUNNING")
        command.says(BACK)
        store.transition(study_id, State.FAILED, "the data are missing")
        assert command.process.wait(timeout=SECONDS) == 1
    assert command.stdout.read_text().splitlines() == [
        "QUEUED: 0 of 34 runs",
        "RUNNING: 0 of 34 runs",
        "FAILED: 0 of 34 runs",
        "the data are missing",
    ]
    assert "Error" not in command.stderr.read_text()


def test_a_study_that_is_waited_for_is_waited_for_on(
    api: Api, store: Store, catalogue: Catalogue, definition: dict[str, Any], tmp_path: Path
) -> None:
    Runners(store).publish(catalogue)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(definition))
    with running(api, tmp_path, "submit", "--wait", str(file)) as command:
        command.printed("QUEUED")
        api.stop(signal.SIGKILL)
        command.says(AWAY)
        claim(store)
        [study] = store.studies(1).items
        store.transition(study.id, State.SUCCEEDED, "")
        api.start()
        assert command.process.wait(timeout=SECONDS) == 0
    printed = command.stdout.read_text().splitlines()
    assert printed[0] == study.id
    assert printed[-2] == "SUCCEEDED: 0 of 34 runs"
    assert printed[-1].startswith("Its report: ")
    assert [study.id for study in store.studies(10).items] == [study.id]


@pytest.mark.parametrize("arguments", [("watch",), ("logs", "--follow")])
def test_what_never_answered_is_an_error_at_once(
    api: Api, store: Store, spec: StudySpec, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    study_id = store.add_study(spec, datetime.now(UTC))
    api.stop(signal.SIGTERM)
    with running(api, tmp_path, *arguments, study_id) as command:
        assert command.process.wait(timeout=SECONDS) == 1
    assert "no service answers at" in command.stderr.read_text()
    assert AWAY not in command.stderr.read_text()


def test_behind_the_proxy_its_502_is_an_outage(api: Api, store: Store, spec: StudySpec, tmp_path: Path) -> None:
    key = ApiKeys(store).create("ada", Role.READER, datetime.now(UTC))
    study_id = store.add_study(spec, datetime.now(UTC))
    claim(store)
    log = api.settings.driver_log(study_id)
    log.parent.mkdir(parents=True)
    log.write_text("first\n")
    (tmp_path / "nginx").mkdir()
    api.stop(signal.SIGTERM)
    api.start(L4_ACCESS="keys")
    with proxied(api.settings.port, tmp_path / "nginx") as url:
        access = {"L4_URL": url, "L4_API_KEY": key}
        with (
            running(api, tmp_path / "watch", "watch", study_id, **access) as watch,
            running(api, tmp_path / "logs", "logs", "--follow", study_id, **access) as logs,
        ):
            watch.printed("RUNNING")
            logs.printed("first")
            api.stop(signal.SIGTERM)
            watch.says("its proxy says 502 Bad Gateway")
            logs.says(AWAY)
            with running(api, tmp_path / "list", "list", **access) as once:
                assert once.process.wait(timeout=SECONDS) == 1
            assert f"behind {url} does not answer (its proxy says 502 Bad Gateway)" in once.stderr.read_text()
            with log.open("a") as file:
                file.write("second\n")
            api.start(L4_ACCESS="keys")
            watch.says(BACK)
            logs.printed("second")
            store.transition(study_id, State.FAILED, "")
            assert watch.process.wait(timeout=SECONDS) == 1
            assert logs.process.wait(timeout=SECONDS) == 0
    assert watch.stdout.read_text().splitlines() == ["RUNNING: 0 of 34 runs", "FAILED: 0 of 34 runs"]
    assert logs.stdout.read_text().splitlines() == ["first", "second"]
