"""Settings of a service of a test's own, beside whatever else runs on the machine."""

import subprocess
from pathlib import Path

import pytest

from service.settings import Settings
from tests.support.services.serving import settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine with compose; who asks for these tests wants them run."""
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.fail("there is no `docker`; install Docker Engine with its compose plugin", pytrace=False)
        if done.returncode != 0:
            pytest.fail(f"`{' '.join(command)}` says: {done.stderr.strip()}", pytrace=False)
