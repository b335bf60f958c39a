"""`make demo` interrupted: while the service starts, and while it trains."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.cli.serve import child_environment
from service.settings import Settings
from service.states import State
from tests.support.services.processes import processes, state


@pytest.mark.slow
@pytest.mark.parametrize("after", ["Starting the service", "HTTP service is ready", "Submitted quickstart.yaml"])
def test_an_interrupt_leaves_no_process_and_no_broken_state(settings: Settings, tmp_path: Path, after: str) -> None:
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli.demo"],
            env=child_environment(settings) | {"FORCE_COLOR": "1"},  # as on a terminal: it says what it waits for
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 600
        while after not in _plain(output):
            assert process.poll() is None, _plain(output)
            assert time.monotonic() < deadline, _plain(output)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 130, _plain(output)
    finally:
        process.kill()
    assert processes(settings) == []
    assert "Interrupted." in _plain(output)
    assert not (tmp_path / "out").exists()
    for study_id in re.findall(r"as study (\S+)", _plain(output)):
        assert state(settings, study_id) is State.CANCELLED


def _plain(output: Path) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.read_text())
