"""One report of several studies over HTTP."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from service.api import joint_report
from service.cli.main import app
from service.storage.repositories.studies import Store
from studies.reporting.report import Report
from tests.conformance.api.stored_studies import problem_of
from tests.support.reported_study import NOW, add_reported_study


def test_two_studies_make_one_report(
    empty_api: httpx.Client, server_url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = add_reported_study(store, "l4adam", "adam"), add_reported_study(store, "l4adam", "sgd")
    answer = empty_api.get("/reports", params={"study": [one, two]}, timeout=120)
    assert answer.status_code == 200, answer.text
    report = Report.model_validate_json(answer.content)
    assert [arm.arm for arm in report.workloads[0].arms] == ["l4adam", "adam", "sgd"]
    assert (report.complete, report.provenance.study_id) == (True, f"{one}, {two}")
    monkeypatch.setenv("L4_URL", server_url)
    saved = CliRunner().invoke(app, ["compare", one, two, "--form", "html", "--out", str(tmp_path / "both.html")])
    assert saved.exit_code == 0, saved.output
    assert "<title>Study of adam with Study of sgd</title>" in (tmp_path / "both.html").read_text()


def test_what_cannot_be_compared_is_refused_with_every_field(empty_api: httpx.Client, store: Store) -> None:
    one, two = (
        add_reported_study(store, "l4adam", "adam"),
        add_reported_study(store, "l4adam", "sgd", trials=4, confirm_seeds=7),
    )
    found = problem_of(empty_api.get("/reports", params={"study": [one, two]}), 422)
    assert [fault.pointer for fault in found.faults] == [
        "/protocol/trials",
        "/protocol/batch",
        "/protocol/confirm_seeds",
    ]
    assert f"{one} has 5, {two} has 4" in found.faults[0].detail


def test_it_takes_two_known_studies_with_reports(empty_api: httpx.Client, store: Store) -> None:
    one = add_reported_study(store, "l4adam", "adam")
    problem_of(empty_api.get("/reports"), 422)
    problem_of(empty_api.get("/reports", params={"study": [one]}), 422)
    assert "each study once" in problem_of(empty_api.get("/reports", params={"study": [one, one]}), 422).detail
    problem_of(empty_api.get("/reports", params={"study": [one, "0" * 20]}), 404)
    queued = store.add_study(store.study(one).spec, NOW)
    problem_of(empty_api.get("/reports", params={"study": [one, queued]}), 409)
    wanted = empty_api.get("/reports", params={"study": [one, queued]}, headers={"Accept": "image/gif"})
    problem_of(wanted, 406)


def test_while_others_are_computed_it_is_to_be_asked_again(
    empty_api: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = add_reported_study(store, "l4adam", "adam"), add_reported_study(store, "l4adam", "sgd")
    for _ in range(2):
        joint_report.SEMAPHORE.acquire()
    try:
        answer = empty_api.get("/reports", params={"study": [one, two]})
        problem_of(answer, 429)
        assert int(answer.headers["retry-after"]) > 0
    finally:
        for _ in range(2):
            joint_report.SEMAPHORE.release()


def test_a_failure_is_told_in_words_and_the_log_has_the_rest(
    empty_api: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = add_reported_study(store, "l4adam", "adam"), add_reported_study(store, "l4adam", "sgd")
    monkeypatch.setattr("service.api.joint_report._MODULE", "tests.support.no_such_module")
    found = problem_of(empty_api.get("/reports", params={"study": [one, two]}), 503)
    assert found.detail == "the report could not be computed (exit status 1); the log of the HTTP service says why"
    assert "no_such_module" in caplog.text


def test_packages_that_are_not_installed_are_named(
    empty_api: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = add_reported_study(store, "l4adam", "adam"), add_reported_study(store, "l4adam", "sgd")
    monkeypatch.setattr("service.api.joint_report.PACKAGES", ("numpy", "not_installed"))
    found = problem_of(empty_api.get("/reports", params={"study": [one, two]}), 503)
    assert found.detail.endswith("lacks not_installed; install them there with `pip install '.[report]'`")
