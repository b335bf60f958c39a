"""Why a driver died, in words."""

import pytest

from service.home import DISK_FULL_STATUS
from service.runner.runner import describe_exit

FULL = "the disk of L4_HOME is full"


@pytest.mark.parametrize(
    ("status", "tail", "full", "reason"),
    [
        (1, "Traceback\nValueError: no\x00 data", None, "the driver process died (exit status 1): ValueError: no data"),
        (1, "ValueError: " + "x" * 400, None, "the driver process died (exit status 1): ValueError: " + "x" * 288),
        (1, "", None, "the driver process died (exit status 1)"),
        (137, "its last words", None, "the driver process died (exit status 137)"),
        (1, "some earlier line", FULL, f"the driver process died (exit status 1): {FULL}"),
        (
            DISK_FULL_STATUS,
            "some earlier line",
            None,
            "the driver could not write, since the disk of L4_HOME or of the database was full",
        ),
    ],
)
def test_the_reason_of_an_exit(status: int, tail: str, full: str | None, reason: str) -> None:
    assert describe_exit(status, tail, full) == reason
