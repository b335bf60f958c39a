"""One report of several studies over HTTP."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.api import joint_report
from service.cli.main import app
from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.repositories.studies import Store
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.reporting.report import Report
from studies.validation.resolver import resolve
from tests.conformance.api.stored_studies import problem_of
from tests.support.planted_studies import Planted, planted_rows, provenance

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARMS: Mapping[str, tuple[Planted, dict[str, Any]]] = {
    "l4adam": (Planted(log_loss=-3.0), {}),
    "adam": (Planted(log_loss=-2.5, best_lr=0.03), {"search": {"lr": {"low": 1e-4, "high": 1.0}}}),
    "sgd": (Planted(log_loss=-2.0, best_lr=0.03), {"search": {"lr": {"low": 1e-4, "high": 1.0}}}),
}


def ended(store: Store, *names: str, **protocol: object) -> str:
    body = {
        "name": f"Study of {names[-1]}",
        "workloads": [{"name": "digits_mlp", "steps": 200}],
        "arms": [{"name": name, **ARMS[name][1]} for name in names],
        "protocol": {"trials": 5, "confirm_seeds": 6, **protocol},
    }
    spec = resolve(body, build_catalogue())
    study_id = store.add_study(spec, NOW)
    claim = store.claim(NOW, 1e6)
    assert claim is not None
    ledger = StudyLedger(store, study_id, claim.token)
    rows = planted_rows(spec, {name: ARMS[name][0] for name in names})
    ledger.add_plan(rows.trials, [replace(pack, done=False, seconds=None) for pack in rows.packs])
    for pack in rows.packs:
        ledger.finish_pack(pack, [run for run in rows.runs if run.pack == pack.number])
    stored = ledger.rows(series=True)
    ledger.save_report(render(build_report(spec, stored, provenance(spec, study_id)), stored))
    store.transition(study_id, State.SUCCEEDED, "")
    return study_id


def test_two_studies_make_one_report(
    empty_api: httpx.Client, server_url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = ended(store, "l4adam", "adam"), ended(store, "l4adam", "sgd")
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
    one, two = ended(store, "l4adam", "adam"), ended(store, "l4adam", "sgd", trials=4, confirm_seeds=7)
    found = problem_of(empty_api.get("/reports", params={"study": [one, two]}), 422)
    assert [fault.pointer for fault in found.faults] == [
        "/protocol/trials",
        "/protocol/batch",
        "/protocol/confirm_seeds",
    ]
    assert f"{one} has 5, {two} has 4" in found.faults[0].detail


def test_it_takes_two_known_studies_with_reports(empty_api: httpx.Client, store: Store) -> None:
    one = ended(store, "l4adam", "adam")
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
    one, two = ended(store, "l4adam", "adam"), ended(store, "l4adam", "sgd")
    for _ in range(2):
        joint_report.SEMAPHORE.acquire()
    try:
        answer = empty_api.get("/reports", params={"study": [one, two]})
        problem_of(answer, 429)
        assert int(answer.headers["retry-after"]) > 0
    finally:
        for _ in range(2):
            joint_report.SEMAPHORE.release()
    monkeypatch.setattr("service.api.joint_report.sys.executable", "/bin/false")
    problem_of(empty_api.get("/reports", params={"study": [one, two]}), 503)
