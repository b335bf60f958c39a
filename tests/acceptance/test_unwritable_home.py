"""Whatever writes to L4_HOME says in words that it cannot: which path, and what to do."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.serve import child_environment
from tests.support.services.serving import settings_in

pytestmark = pytest.mark.slow

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1
COMMANDS = ("service.cli serve", "service.cli init", "service.cli migrate", "service.cli keys list", "service.app")
TRAINERS = ("service.runner", "service.tracking.recorder", "service.cli.demo")


def _obey_permissions() -> None:
    """Take from root what lets it write everywhere."""
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
        os._exit(77)


def output_of(home: Path, command: str) -> str:
    """Return what a command says that ends at once with the exit status 1."""
    settings = settings_in(home.parent).model_copy(update={"home": home})
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        env=child_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        preexec_fn=_obey_permissions,
    )
    if done.returncode == 77:
        pytest.skip("root has not the right to give up its rights")
    assert done.returncode == 1, done.stdout
    return done.stdout


def check(said: str, path: Path, home: Path) -> None:
    """Check that the message names the path, the folder, the setting and no module."""
    assert f"cannot write to {path} (" in said
    assert f"with L4_HOME, which is {home} now" in said
    assert "make it writable for the user with id" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [*COMMANDS, *TRAINERS])
def test_a_home_that_is_read_only_is_named(tmp_path: Path, command: str) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    check(output_of(home, command), home, home)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_home_that_cannot_be_made_is_named(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    check(output_of(home, command), home, home)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("entry", ["studies.db", "logs"])
def test_what_another_user_made_there_is_named(tmp_path: Path, command: str, entry: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = home / entry
    path.mkdir() if entry == "logs" else path.touch()
    path.chmod(0o444)
    check(output_of(home, command), path, home)
