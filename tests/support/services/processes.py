"""The processes of a service, and the state of its studies."""

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from service.settings import Settings
from service.states import State
from service.storage.engine import open_engine
from service.storage.repositories.studies import Store


def processes(settings: Settings) -> list[str]:
    """Every process that inherited a test's settings, in whatever session, with its command line."""
    mark = f"L4_HOME={settings.home.absolute()}".encode()
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile
    return found


def state(settings: Settings, study_id: str) -> State:
    """Return a study's state as the database has it."""
    engine = open_engine(settings.database_url)
    try:
        return Store(engine).study(study_id).state
    finally:
        engine.dispose()


def matching(ancestor: psutil.Process, pattern: str) -> Iterator[psutil.Process]:
    """Yield the processes below another one whose command matches a pattern, their subreapers aside.

    Args:
        ancestor: The other process.
        pattern: A regular expression, searched in the command.
    """
    for process in ancestor.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if re.search(pattern, command) and "service.processes.subreaper" not in command:
                yield process


def wait_for_process(pattern: str) -> int:
    """Return the id of a process below this one whose command matches a pattern, once there is one.

    Args:
        pattern: A regular expression, searched in the command.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in matching(psutil.Process(), pattern):
            return process.pid
        time.sleep(0.05)
    raise AssertionError(f"no process with {pattern}")


def wait_for_driver(settings: Settings, study_id: str) -> int:
    """Return the id of the process that drives a study, or did last, once its log says so.

    Args:
        settings: The service's.
        study_id: The study.
    """
    log, deadline = settings.driver_log(study_id), time.monotonic() + 60
    while time.monotonic() < deadline:
        if log.exists() and (ids := re.findall(r"process (\d+) drives", log.read_text())):
            return int(ids[-1])
        time.sleep(0.05)
    raise AssertionError(f"no driver of {study_id}")


def wait_for_standby_driver(settings: Settings) -> int:
    """Return the id of the driver whose output goes to no study's log, once there is one.

    Args:
        settings: The service's.
    """
    logs, deadline = (settings.home / "studies").resolve(), time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in matching(psutil.Process(), r"-m service\.runner\.driver"):
            with contextlib.suppress(OSError):
                if not Path(f"/proc/{process.pid}/fd/1").readlink().is_relative_to(logs):
                    return process.pid
        time.sleep(0.05)
    raise AssertionError("no driver waits")
