"""What a worker logs, on its way to the driver's log."""

import logging
import pickle

import pytest

from studies.execution.log_forwarding import capture_logs, drain, replay_logs


def test_what_is_logged_travels_with_its_pack_and_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    ours, other = logging.getLogger("studies.execution.worker"), logging.getLogger("some.library")
    with capture_logs(7) as queue:
        ours.info("lane %s diverged", 2, extra={"run": "7-2"})
        other.debug("not worth telling")
        other.warning("odd")
        try:
            raise ValueError("a reason")
        except ValueError:
            ours.exception("it failed")
    ours.warning("nobody listens any more")
    records = pickle.loads(pickle.dumps(drain(queue)))

    caplog.clear()
    replay_logs(records)
    assert [(each.name, each.levelname) for each in caplog.records] == [
        ("studies.execution.worker", "INFO"),
        ("some.library", "WARNING"),
        ("studies.execution.worker", "ERROR"),
    ]
    assert [vars(each)["pack"] for each in caplog.records] == [7, 7, 7]
    assert caplog.records[0].getMessage() == "lane 2 diverged"
    assert vars(caplog.records[0])["run"] == "7-2"
    assert "ValueError: a reason" in caplog.records[2].getMessage()


def test_what_is_about_no_pack_says_so() -> None:
    with capture_logs(None) as queue:
        logging.getLogger("studies.execution.calibration").info("measured")
    (record,) = drain(queue)
    assert "pack" not in vars(record)
