"""What is left of a service: its processes, and the state of its studies."""

from pathlib import Path

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
