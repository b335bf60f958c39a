"""A bundle over HTTP: unpacked elsewhere it gives the same report, and posted again the same study."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from typer.testing import CliRunner

from service.api import bundle
from service.cli.main import app
from service.client.client import Client
from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.registry import build_catalogue
from studies.reporting.builder import build_report
from studies.reporting.render import render
from studies.validation.resolver import resolve
from tests.conformance.api.stored_studies import problem_of
from tests.support.planted_studies import Planted, planted_rows, provenance

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARMS = {"l4adam": Planted(log_loss=-3.0), "adam": Planted(log_loss=-2.5, best_lr=0.03, diverges_above=0.2)}
BODY = {
    "name": "To be checked",
    "workloads": [{"name": "digits_mlp", "steps": 200}],
    "arms": [{"name": "l4adam"}, {"name": "adam", "search": {"lr": {"low": 1e-4, "high": 1.0}}}],
    "protocol": {"trials": 7, "confirm_seeds": 6},
}


@pytest.fixture
def study_id(empty_api: httpx.Client, store: Store) -> str:
    """A study that has ended, with all its rows and its report."""
    del empty_api  # which has the same database
    Runners(store).publish(build_catalogue())
    spec = resolve(BODY, build_catalogue())
    study_id = store.add_study(spec, NOW)
    claim = store.claim(NOW, 1e6)
    assert claim is not None
    ledger = StudyLedger(store, study_id, claim.token)
    rows = planted_rows(spec, ARMS)
    ledger.add_plan(rows.trials, [replace(pack, done=False, seconds=None) for pack in rows.packs])
    for pack in rows.packs:
        ledger.finish_pack(pack, [run for run in rows.runs if run.pack == pack.number])
    stored = ledger.rows(series=True)
    assert len(stored.runs) == len(rows.runs)
    ledger.save_report(render(build_report(spec, stored, provenance(spec, study_id)), stored))
    store.transition(study_id, State.SUCCEEDED, "")
    return study_id


def test_a_bundle_gives_the_same_report_and_starts_the_same_study(
    study_id: str, server_url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L4_URL", server_url)
    monkeypatch.chdir(tmp_path)
    saved = CliRunner().invoke(app, ["bundle", study_id])
    assert (saved.exit_code, saved.output) == (0, f"Saved {study_id}.zip\n")
    with ZipFile(tmp_path / f"{study_id}.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    assert not list(tmp_path.glob("*.part"))

    rebuilt = CliRunner().invoke(app, ["rebuild", "unpacked", "--out", "again"])
    assert rebuilt.exit_code == 0, rebuilt.output
    with Client(server_url) as client:
        assert (tmp_path / "again" / "report.json").read_bytes() == client.report(study_id)

    submitted = CliRunner().invoke(app, ["submit", "unpacked/study.json"])
    assert submitted.exit_code == 0, submitted.output
    hashes = {store.study(each).spec_hash for each in (study_id, submitted.output.split()[0])}
    assert len(hashes) == 1
    assert hashes == {json.loads((tmp_path / "unpacked" / "provenance.json").read_text())["spec_hash"]}


def test_what_was_changed_gives_another_report_and_says_so(
    study_id: str, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Client(server_url) as client:
        client.reports.save_bundle(study_id, tmp_path / "bundle.zip")
    with ZipFile("bundle.zip") as archive:
        archive.extractall()
    runs = Path("rows/runs.csv")
    runs.write_text(runs.read_text().replace("confirm,FINISHED,200", "confirm,FINISHED,199"))
    found = CliRunner().invoke(app, ["rebuild", "."])
    assert found.exit_code == 1
    assert "not the bundle's report" in found.output
    assert Path("again/report.html").exists()


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["rebuild", str(tmp_path)])
    assert found.exit_code == 1
    assert "no unpacked bundle" in found.output or "cannot be read" in found.output


def test_while_others_are_written_it_is_to_be_asked_again(study_id: str, empty_api: httpx.Client) -> None:
    path, taken = f"/studies/{study_id}/bundle", 0
    try:
        while bundle.SEMAPHORE.acquire(blocking=False):
            taken += 1
        answer = empty_api.get(path)
        problem_of(answer, 429)
        assert int(answer.headers["retry-after"]) > 0
        problem_of(empty_api.get(f"/studies/{'0' * 20}/bundle"), 404)
    finally:
        bundle.SEMAPHORE.release(taken)
    # each gives back what it took, also where nobody reads it to its end
    for _ in range(taken + 1):
        with empty_api.stream("GET", path) as begun:
            assert begun.status_code == 200
