"""JSON logging of a real process."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.processes.log_files import last_lines
from tests.support.paths import ROOT

_SCRIPT = """
import logging, threading, warnings
from service.processes.json_logging import configure_json_logging

configure_json_logging("driver", study="0123456789abcdef0123")
log = logging.getLogger("some.part")
log.info("pack %s is done", 3, extra={"pack": 3, "run": "3-1"})
log.debug("not told")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it failed")
warnings.warn("old")
thread = threading.Thread(target=lambda: [][0])
thread.start()
thread.join()
raise RuntimeError("the end,\\nin two lines")
"""


def logged() -> list[dict[str, Any]]:
    process = subprocess.run([sys.executable, "-c", _SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 1
    return [json.loads(line) for line in process.stderr.splitlines()]


def test_every_line_is_an_object_with_its_fields() -> None:
    done, failed, warned, thread, last = logged()
    for line in (done, failed, warned, thread, last):
        assert line["process"] == "driver"
        assert line["study"] == "0123456789abcdef0123"
        assert abs(datetime.fromisoformat(line["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (done["level"], done["logger"], done["message"]) == ("INFO", "some.part", "pack 3 is done")
    assert (done["pack"], done["run"]) == (3, "3-1")
    assert done.keys() == {"time", "level", "logger", "message", "process", "study", "pack", "run"}
    assert failed["exception"].splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "UserWarning: old" in warned["message"]
    assert "IndexError" in thread["exception"]
    assert last["level"] == "CRITICAL"
    assert last["exception"].endswith("RuntimeError: the end,\nin two lines")


def test_the_last_line_of_a_process_that_died_is_its_error(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    logged = "from service.processes.json_logging import configure_json_logging; configure_json_logging('driver')"
    script = f"{logged}; raise KeyError('no such workload')"
    with log.open("wb") as opened:
        assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, stderr=opened).returncode == 1
    assert last_lines(log).splitlines()[-1] == "KeyError: 'no such workload'"
